"""`Samples`: what metrics are given of a batch, missing labels left out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras import ops

from keras_selfaux._stacking import NamedNodes, Nodes
from keras_selfaux._types import PerTask, Task, Tensor

Masks = Callable[[Sequence[Task]], Tensor | None]
"""Gives which labels of N tasks are present, of shape `(N, batch, ...)`.

`None` means that no label of them can be missing.
"""


class Arguments(NamedTuple):
    """The arguments of a metric's `update_state`."""

    y_true: Tensor
    y_pred: Tensor
    sample_weight: Tensor | None


class Samples:
    """Labels, predictions and weights, one task at a time or several.

    Args:
        labels: `{task: y_true}`.
        predictions: `{task: y_pred}`.
        sample_weights: `{task: weights}`, or `None` for a task.
        masks: Tells which labels are present.
    """

    def __init__(
        self,
        labels: PerTask[Tensor],
        predictions: PerTask[Tensor],
        sample_weights: PerTask[Tensor | None],
        masks: Masks,
    ) -> None:
        self.labels = NamedNodes.from_dict(labels)
        self.predictions = NamedNodes.from_dict(predictions)
        self._sample_weights = sample_weights
        self._masks = masks
        self._stacks: dict[tuple[tuple[Task, ...], bool], Arguments] = {}

    def of(self, task: Task, *, weighted: bool) -> Arguments:
        """Returns what a metric of one task is given.

        Args:
            task: The task.
            weighted: Whether samples weigh what the user said, or all alike.
        """
        mask = self._masks([task])
        y_true, weights = _without_missing(
            self.labels[task],
            None if mask is None else mask[0],
            self._sample_weights[task] if weighted else None,
        )
        return Arguments(y_true, self.predictions[task], weights)

    def stacked(self, tasks: Sequence[Task], *, weighted: bool) -> Arguments:
        """Returns what a metric of several tasks is given, stacked.

        Args:
            tasks: N tasks with labels and predictions of one shape.
            weighted: Whether samples weigh what the user said, or all alike.
        """
        key = tuple(tasks), weighted
        if key not in self._stacks:
            weights = None
            if weighted:
                weights = stack_weights(
                    [self._sample_weights[task] for task in tasks]
                )
            y_true, weights = _without_missing(
                self.labels.stack(tasks),
                self._masks(tasks),
                weights,
            )
            y_pred = self.predictions.stack(tasks)
            self._stacks[key] = Arguments(y_true, y_pred, weights)
        return self._stacks[key]


def stack_weights(weights: Sequence[Tensor | None]) -> Tensor | None:
    """Stacks masks or weights; `None` among others stands for ones."""
    known = [value for value in weights if value is not None]
    if not known:
        return None
    widest = max(known, key=lambda value: len(value.shape))
    rank = len(widest.shape)
    if len(known) == len(weights) and all(len(v.shape) == rank for v in known):
        return Nodes(items=known).stacked
    ones, shape = ops.ones_like(widest), ops.shape(widest)
    return ops.stack(
        [
            ones if v is None else ops.broadcast_to(with_rank(v, rank), shape)
            for v in weights
        ]
    )


def with_rank(values: Tensor, rank: int) -> Tensor:
    """Adds or removes last axes of length 1 until the rank is right."""
    extra = len(values.shape) - rank
    if extra > 0 and all(size == 1 for size in values.shape[-extra:]):
        return ops.squeeze(values, tuple(range(-extra, 0)))
    for _ in range(-extra):
        values = ops.expand_dims(values, -1)
    return values


def _without_missing(
    y_true: Tensor, present: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Returns labels and weights that are 0 where labels are missing."""
    if present is None:  # no label can be missing, so none has a weight
        return y_true, None
    mask = with_rank(present, len(y_true.shape))
    y_true = ops.where(mask, y_true, ops.zeros_like(y_true))
    present = ops.cast(present, "float32")
    if weights is not None:
        weights = ops.cast(weights, "float32")
        present = present * with_rank(weights, len(present.shape))
    return y_true, present
