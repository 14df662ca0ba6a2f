"""What an interrupted forest goes on from."""

import json
import pathlib
import time
from typing import Any, NamedTuple

import keras

from keras_selfaux._files import write_json
from keras_selfaux.discovery._logs import Best, BestEpochs

STATE = "forest.json"
WEIGHTS = "epoch_*.weights.h5"


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
    path = folder / STATE
    if not path.exists():
        return None
    state = State(**json.loads(path.read_text(encoding="utf-8")))
    best = [Best(float(loss), epoch, s) for loss, epoch, s in state.best]
    return state._replace(best=best)


class Checkpoint(keras.callbacks.Callback):
    """Saves a forest now and then, and brings it back.

    A file of weights and a small file that names it: the second is replaced
    at once, so that there always is a complete pair.

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
        """Brings a state back."""
        forest.optimizer.build(forest.trainable_variables)
        forest.load_weights(self._folder / state.weights)
        self._best.best = list(state.best)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if the last time is long enough ago."""
        is_last = epoch + 1 == self.params["epochs"]
        if is_last or time.monotonic() - self._last >= self._seconds:
            self._save(epoch + 1)
            self._last = time.monotonic()

    def _save(self, epoch: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        before = list(self._folder.glob(WEIGHTS))
        weights = self._folder / WEIGHTS.replace("*", str(epoch))
        self.model.save_weights(weights)
        # JSON has no infinity.
        best = [(str(b.loss), b.epoch, b.scores) for b in self._best.best]
        state = State(epoch, weights.name, best)
        write_json(self._folder / STATE, state._asdict())
        for path in before:
            if path != weights:
                path.unlink()
