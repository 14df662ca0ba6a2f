"""`CollapsedWeights`: warns of tasks that a weighting has given up."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_selfaux._checks import check_positive, check_within, error
from keras_selfaux._types import Edge, Task
from keras_selfaux.weightings import Weighting

_REMEDY = (
    "bring the losses to one scale by `loss_weights`, or use another weighting."
)


class CollapsedWeights(keras.callbacks.Callback):
    """Warns once per task and run of `fit` if its weights have collapsed.

    At the end of every epoch it looks for

    - weights that are not finite,
    - weights that have grown beyond `largest_growth`,
    - tasks on whose branch every weight is 0,
    - tasks whose own weight is less than `least_share` of the mean over
      tasks.

    A clone whose weight falls to 0 is no collapse: a weighting such as
    `AutoLambda` is there to find such clones. Of a weighting that sets
    weights anew at every step, it looks at the mean over the epoch's steps
    in which a loss had labels, and never at shares: such weights go by the
    losses, and a small one may balance a large loss. Of others it looks at
    the weights that the next step will apply; where these never move, as
    with `Static`, they are as they were chosen, and it says nothing. It
    acts at no step, and costs none of them anything.

    Args:
        least_share: The least share of the mean weight of primaries: a
            number in (0, 1). Defaults to `1e-3`.
        largest_growth: How many times the mean weight that primaries have
            when training begins a weight may be. Defaults to `1e3`.

    Raises:
        ValueError: If an argument is not as described; in `fit`, if the
            model is no `SelfAuxModel`.

    Example:

    >>> watch = keras_selfaux.callbacks.CollapsedWeights()
    >>> model.fit(x, y, meta_data=(x_val, y_val), callbacks=[watch])
    """

    def __init__(
        self, least_share: float = 1e-3, largest_growth: float = 1e3
    ) -> None:
        super().__init__()
        check_within("least_share", least_share, "(0, 1)")
        check_positive("largest_growth", largest_growth, infinite=True)
        self.least_share = least_share
        self.largest_growth = largest_growth
        self._told: set[Task] = set()
        self._largest = math.inf
        self._means: dict[Edge, float] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Notes the weights that training begins with."""
        if not hasattr(self.model, "transfer_graph"):
            raise error(
                "`CollapsedWeights` needs a model with several tasks.",
                received=type(self.model).__name__,
                remedy="Use it in `fit` of a `SelfAuxModel`.",
            )
        weights = self.model.task_weights
        mean = _mean_of_primaries(weights, math.inf)
        # A run may begin with weights of 0, and then any weight is more.
        self._largest = self.largest_growth * mean if mean > 0 else math.inf
        self._told = set()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forgets the epoch before."""
        self._means = {}

    def on_test_begin(self, logs: Any = None) -> None:
        """Notes the means: evaluation resets them."""
        self._note_means()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Warns of weights that have collapsed."""
        weighting = self.model.weighting
        if not _moves(weighting):
            return
        self._note_means()
        weights = self.model.task_weights
        if weighting.is_momentary:
            weights = self._means
        name = f"Weighting {weighting.name!r}"
        for task in self.model.transfer_graph.tasks:
            problem = None
            if task not in self._told:
                problem = self._problem(task, weights)
            if problem is not None:
                self._told.add(task)
                what, received = problem
                text = error(
                    f"{name} {what}.",
                    received=f"{received} at the end of epoch {epoch}",
                    remedy=_remedy(weighting),
                )
                warnings.warn(str(text), stacklevel=2)

    def _note_means(self) -> None:
        means = self.model.loss_tracker.mean_weights()
        if means:  # none right after a reset
            self._means = means

    def _problem(
        self, task: Task, weights: Mapping[Edge, float]
    ) -> tuple[str, str] | None:
        """Says what is wrong with the weights on a task's branch, if any."""
        branch = {edge: w for edge, w in weights.items() if edge[1] == task}
        for edge, weight in branch.items():
            if not math.isfinite(weight):
                return (
                    f"gives {_name(edge)} a weight that is not finite",
                    f"{weight}",
                )
            if weight > self._largest:
                return (
                    f"has blown up the weight of {_name(edge)}",
                    f"{weight:.3g}, where {self._largest:.3g} would be "
                    f"{self.largest_growth:g} times what training began with,",
                )
        if (task, task) not in branch:
            return None  # without labels in this epoch
        if not any(branch.values()):
            return f"gives all losses on the branch of task {task!r} 0", "0"
        if self.model.weighting.is_momentary:
            return None
        weight = branch[task, task]
        mean = _mean_of_primaries(weights, self._largest)
        if weight <= self.least_share * mean:
            return (
                f"has all but dropped task {task!r}",
                f"the weight {weight:.3g}, where the mean over tasks is "
                f"{mean:.3g},",
            )
        return None


def _moves(weighting: Any) -> bool:
    """Says whether anything but its user sets a weighting's weights."""
    kind = type(weighting)
    return weighting.is_momentary or any(
        getattr(kind, name) is not getattr(Weighting, name)
        for name in ("learn", "update", "on_epoch_end")
    )


def _remedy(weighting: Any) -> str:
    learns = getattr(weighting, "optimizer", None) is not None
    text = f"lower the weighting's learning rate, {_REMEDY}"
    text = text if learns else _REMEDY
    return text[0].upper() + text[1:]


def _mean_of_primaries(weights: Mapping[Edge, float], largest: float) -> float:
    """Returns the mean weight of primaries, those blown up left out."""
    primaries = [
        weight
        for (source, target), weight in weights.items()
        if source == target and math.isfinite(weight) and weight <= largest
    ]
    return float(np.mean(primaries)) if primaries else 0.0


def _name(edge: Edge) -> str:
    source, target = edge
    is_primary = source == target
    return f"task {source!r}" if is_primary else f"clone '{source}->{target}'"
