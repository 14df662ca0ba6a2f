"""Enumeration in one go: all networks train side by side, as a forest."""

import gc
import pathlib
from collections.abc import Iterable
from typing import Any

import keras

from keras_selfaux.discovery._checkpoint import Checkpoint, read_state
from keras_selfaux.discovery._forest import plant
from keras_selfaux.discovery._gains import Run
from keras_selfaux.discovery._logs import Best, BestEpochs, Watched
from keras_selfaux.discovery._search import Search, built, fit


def search_forest(search: Search, folder: pathlib.Path | None) -> list[Run]:
    """Trains all networks as one model.

    Args:
        search: What to train, and on what.
        folder: Where to keep what an interrupted search goes on from.
    """
    state = None
    if folder is not None:
        state = read_state(folder, [n.tasks for n in search.networks])
    if state is not None and state.epoch >= search.epochs:
        return _runs(search, state.best)
    networks = [built(search, network) for network in search.networks]
    forest = plant(networks, search.tasks)
    del networks
    gc.collect()
    best = BestEpochs(
        [Watched(tree.leaves, tree.loss_weights) for tree in forest.trees],
        search.judge.check,
    )
    callbacks: list[keras.callbacks.Callback] = [best]
    if folder is not None:
        checkpoint = Checkpoint(folder, best)
        callbacks.append(checkpoint)
        if state is not None:
            checkpoint.restore(forest, state)
    if search.verbose:
        callbacks.append(_Progress())
    first_epoch = 0 if state is None else state.epoch
    fit(search, forest, search.tasks, callbacks, first_epoch)
    return _runs(search, best.best)


def _runs(search: Search, best: Iterable[Best]) -> list[Run]:
    return [
        Run(n.run_id, n.tasks, n.seed, b.epoch, b.scores)
        for n, b in zip(search.networks, best, strict=True)
    ]


class _Progress(keras.callbacks.Callback):
    """Keras's progress bar, with epochs for steps.

    The usual one has an entry per task of each network.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the bar."""
        epochs = self.params["epochs"]
        self._bar = keras.utils.Progbar(epochs, unit_name="epoch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Moves the bar."""
        self._bar.update(epoch + 1)
