"""Enumeration in one go: all networks train side by side, as a forest."""

import pathlib
from typing import Any

import keras

from keras_selfaux.discovery._checkpoint import Checkpoint
from keras_selfaux.discovery._forest import plant
from keras_selfaux.discovery._gains import Run
from keras_selfaux.discovery._logs import Best, BestEpochs, Watched
from keras_selfaux.discovery._networks import Network
from keras_selfaux.discovery._search import Search, built, fit


def search_forest(search: Search, folder: pathlib.Path | None) -> list[Run]:
    """Trains all networks as one model.

    Args:
        search: What to train, and on what.
        folder: Where to keep what an interrupted search goes on from.
    """
    networks = search.networks
    forest = plant([built(search, n) for n in networks], search.tasks)
    best = BestEpochs(
        [Watched(tree.leaves, tree.loss_weights) for tree in forest.trees],
        search.judge.check,
    )
    first_epoch, callbacks = 0, [best]
    if folder is not None:
        checkpoint = Checkpoint(folder, best)
        first_epoch = checkpoint.restore(forest)
        callbacks.append(checkpoint)
    if search.verbose:
        callbacks.append(_Progress())
    if first_epoch < search.epochs:
        fit(search, forest, search.tasks, callbacks, first_epoch)
    return [_run(n, b) for n, b in zip(networks, best.best, strict=True)]


def _run(network: Network, best: Best) -> Run:
    return Run(
        network.run_id, network.tasks, network.seed, best.epoch, best.scores
    )


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
