"""What an interrupted forest goes on from."""

import pathlib
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux._checks import UsageError, error
from keras_selfaux._files import naming_weights, read_json, write_json
from keras_selfaux._types import Task
from keras_selfaux.discovery._logs import Best, BestEpochs, Scores

_STATE = "state.json"
_WEIGHTS = "epoch_{}.weights.h5"


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


def read_state(
    folder: pathlib.Path, networks: Sequence[Sequence[Task]]
) -> State | None:
    """Returns the last state that was saved, if there is one.

    Args:
        folder: Where the files are.
        networks: The tasks of every network of the forest.

    Raises:
        ValueError: If the file is damaged, or of another forest.
    """
    path = folder / _STATE
    if not path.exists():
        return None
    try:
        return _checked(State(**read_json(path)), networks)
    except (ValueError, TypeError, AttributeError, OverflowError) as problem:
        raise error(
            f"'{path}' is damaged: it does not say how far a forest has got.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Pass overwrite=True to start anew.",
        ) from problem


def _checked(state: State, networks: Sequence[Sequence[Task]]) -> State:
    """Returns a state with its best epochs made of what JSON has of them.

    Raises:
        ValueError: If something is not as it was written; other errors if
            it is not even of the kind.
    """
    best = [
        Best(float(loss), epoch, _floats(scores))
        for loss, epoch, scores in state.best
    ]
    numbers = [state.epoch, *(found.epoch for found in best)]
    if not all(map(_is_count, numbers)):
        raise ValueError(f"epochs {numbers}")
    for found, tasks in zip(best, networks, strict=True):
        if found.epoch and {*found.scores} != {*tasks}:
            raise ValueError(f"scores of {[*found.scores]}")
    # It must not lead out of the folder.
    if not re.fullmatch(_WEIGHTS.format(r"\d+"), state.weights):
        raise ValueError(f"weights={state.weights!r}")
    return state._replace(best=best)


def _floats(scores: Any) -> Scores:
    return {
        task: {name: float(value) for name, value in found.items()}
        for task, found in scores.items()
    }


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


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
            OSError: If they cannot be read.
        """
        path = self._folder / state.weights
        forest.optimizer.build(forest.trainable_variables)
        try:
            with naming_weights(path):
                forest.load_weights(path)
        except (FileNotFoundError, UsageError) as problem:
            raise error(
                f"'{path}' does not hold the weights of the forest.",
                received=f"{problem}",
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
        weights = self._folder / _WEIGHTS.format(epoch)
        self.model.save_weights(weights)
        # JSON has no infinity.
        best = [(str(b.loss), b.epoch, b.scores) for b in self._best.best]
        state = State(epoch, weights.name, best)
        write_json(self._folder / _STATE, state._asdict())
        for path in self._folder.glob(_WEIGHTS.format("*")):
            if path != weights:
                path.unlink()
