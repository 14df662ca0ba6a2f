"""What an interrupted forest goes on from."""

import json
import pathlib
import time
from typing import Any

import keras

from keras_selfaux._files import write_json
from keras_selfaux.discovery._logs import Best, BestEpochs

STATE = "forest.json"
WEIGHTS = "epoch_*.weights.h5"


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

    def restore(self, forest: Any) -> int:
        """Brings the last state back, if there is one.

        Returns:
            How many epochs it has behind it.
        """
        path = self._folder / STATE
        if not path.exists():
            return 0
        state = json.loads(path.read_text(encoding="utf-8"))
        forest.optimizer.build(forest.trainable_variables)
        forest.load_weights(self._folder / state["weights"])
        self._best.best = [
            Best(float(loss), epoch, scores)
            for loss, epoch, scores in state["best"]
        ]
        epoch: int = state["epoch"]
        return epoch

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
        state = {
            "epoch": epoch,
            "weights": weights.name,
            # JSON has no infinity.
            "best": [(str(b.loss), b.epoch, b.scores) for b in self._best.best],
        }
        write_json(self._folder / STATE, state)
        for path in before:
            if path != weights:
                path.unlink()
