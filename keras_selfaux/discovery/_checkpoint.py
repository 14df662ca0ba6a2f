"""What an interrupted forest goes on from."""

import json
import pathlib
import time
from typing import Any, NamedTuple

import keras

from keras_selfaux._checks import error
from keras_selfaux._files import write_json
from keras_selfaux.discovery._logs import Best, BestEpochs

_STATE = "state.json"


class State(NamedTuple):
    """How far a forest has got.

    Attributes:
        epoch: How many epochs it has behind it.
        weights: Name of the file of its weights.
        best: The best epochs of its networks.
    """

    epoch: int
    weights: str
    best: list[Any]


def read_state(folder: pathlib.Path) -> State | None:
    """Returns the last state that was saved, if there is one."""
    path = folder / _STATE
    if not path.exists():
        return None
    try:
        state = State(**json.loads(path.read_text(encoding="utf-8")))
        best = [Best(float(loss), epoch, s) for loss, epoch, s in state.best]
    except (ValueError, TypeError) as problem:
        raise error(
            f"'{path}' is damaged: it does not say how far a forest has got.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Pass overwrite=True to start anew.",
        ) from problem
    return state._replace(best=best)


class Checkpoint(keras.callbacks.Callback):
    """Saves a forest now and then, and brings it back.

    A file of weights and a small file that names it: the second is replaced
    at once, so that there always is a complete pair. Keras's own
    `BackupAndRestore` would save after every epoch, which takes longer than
    the epoch, and has no place for the best epochs.

    Args:
        folder: Where the files are.
        best: The best epochs so far, which belong to the state.
        seconds: The least time between two savings. Defaults to 30.
    """

    def __init__(
        self, folder: pathlib.Path, best: BestEpochs, seconds: float = 30.0
    ) -> None:
        super().__init__()
        self._folder = folder
        self._best = best
        self._seconds = seconds
        self._last = time.monotonic()

    def restore(self, forest: Any, state: "State") -> None:
        """Brings a state back.

        Raises:
            ValueError: If its weights are missing or damaged.
        """
        path = self._folder / state.weights
        forest.optimizer.build(forest.trainable_variables)
        try:
            forest.load_weights(path)
        except (OSError, ValueError, KeyError) as problem:
            raise error(
                f"'{path}' does not hold the weights of the forest.",
                received=f"{type(problem).__name__}: {problem}",
                remedy="Pass overwrite=True to start anew.",
            ) from problem
        self._best.best = list(state.best)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if the last time is long enough ago."""
        is_last = epoch + 1 == self.params["epochs"]
        if is_last or time.monotonic() - self._last >= self._seconds:
            self._save(epoch + 1)
            self._last = time.monotonic()

    def _save(self, epoch: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = self._folder / f"epoch_{epoch}.weights.h5"
        self.model.save_weights(weights)
        # JSON has no infinity.
        best = [(str(b.loss), b.epoch, b.scores) for b in self._best.best]
        state = State(epoch, weights.name, best)
        write_json(self._folder / _STATE, state._asdict())
        for path in self._folder.glob("epoch_*.weights.h5"):
            if path != weights:
                path.unlink()
