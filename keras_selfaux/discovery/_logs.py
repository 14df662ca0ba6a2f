"""Reading Keras's logs by task, and finding each network's best epoch."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux._types import Task

_PREFIX = "val_"

Scores = dict[Task, dict[str, float]]
"""One value per metric, for every task."""


class Best(NamedTuple):
    """A network at its best epoch.

    Attributes:
        loss: Its validation loss, infinite if it never was a number.
        epoch: The epoch, counted from 1; 0 if there was none.
        scores: Its validation metrics, `{task: {metric: value}}`.
    """

    loss: float = math.inf
    epoch: int = 0
    scores: Scores = {}  # noqa: RUF012  (a default of a named tuple)


class Watched(NamedTuple):
    """A network whose best epoch is looked for.

    Attributes:
        names: `{task: its name in the logs}`.
        loss_weights: `{task: what its loss counts}`.
    """

    names: dict[Task, str]
    loss_weights: dict[Task, float]


class BestEpochs(keras.callbacks.Callback):
    """Notes the best epoch of each network of a model.

    The best epoch is the one with the least validation loss: the sum of the
    losses of the network's own tasks, times their `loss_weights`. What layers
    add to the loss is left out.

    Args:
        networks: The networks.
        check: Called with the first epoch's scores of each network, and may
            raise.
    """

    def __init__(
        self, networks: Sequence[Watched], check: Callable[[Scores], None]
    ) -> None:
        super().__init__()
        self._networks = list(networks)
        self._check: Callable[[Scores], None] | None = check
        self._names = [
            name for network in networks for name in network.names.values()
        ]
        self.best = [Best() for _ in networks]

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Compares the epoch with the best one so far."""
        found = scores_by_name(logs or {}, self._names)
        for number, network in enumerate(self._networks):
            scores = {t: found[name] for t, name in network.names.items()}
            if self._check is not None:
                self._check(scores)
            loss = sum(
                weight * scores[task]["loss"]
                for task, weight in network.loss_weights.items()
            )
            if loss < self.best[number].loss:
                self.best[number] = Best(loss, epoch + 1, _finite(scores))
        self._check = None


def _finite(scores: Scores) -> Scores:
    return {
        task: {m: v for m, v in of_task.items() if math.isfinite(v)}
        for task, of_task in scores.items()
    }


def scores_by_name(
    logs: Mapping[str, Any], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Sorts validation logs by task.

    Keras puts the output's name before the metric's, but not where there is
    one output alone.

    Args:
        logs: What Keras hands to callbacks.
        names: Names of all outputs.

    Returns:
        `{name: {metric: value}}`.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    known = set(names)
    is_prefixed = len(names) > 1 or f"{_PREFIX}{names[0]}_loss" in logs
    for full_key, value in logs.items():
        if not full_key.startswith(_PREFIX):
            continue
        key = full_key.removeprefix(_PREFIX)
        name = _owner(key, known) if is_prefixed else None
        if name is not None:
            found[name][key.removeprefix(f"{name}_")] = float(value)
        elif len(names) == 1:
            found[names[0]].setdefault(key, float(value))
    return found


def _owner(key: str, names: Collection[str]) -> str | None:
    """Returns the longest name that a log's key begins with."""
    end = len(key)
    while (end := key.rfind("_", 0, end)) > 0:
        if key[:end] in names:
            return key[:end]
    return None
