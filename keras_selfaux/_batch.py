"""A batch as the step reads it: labels and sample weights by task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._types import Task, Tensor


class Batch(NamedTuple):
    """A batch with labels and sample weights sorted by task."""

    x: Any
    y: dict[Task, Tensor]
    sample_weight: dict[Task, Tensor | None]

    @property
    def size(self) -> Tensor:
        """The number of samples."""
        return ops.shape(next(iter(self.y.values())))[0]


def as_batch(data: Any, tasks: Sequence[Task]) -> Batch:
    """Sorts `(x, y)` or `(x, y, sample_weight)` by task.

    Raises:
        ValueError: If labels or sample weights do not fit the tasks.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(y, (list, tuple)) and len(y) == len(tasks):
        y = dict(zip(tasks, y, strict=True))
    if not isinstance(y, Mapping):
        if len(tasks) != 1 or y is None:
            raise error(
                "Labels `y` must be a dict {task: labels}.",
                received=f"{type(y).__name__}",
                remedy=f"Pass a dict with the keys {list(tasks)}.",
            )
        y = {tasks[0]: y}
    check_same_tasks("y", y, tasks)
    if isinstance(weight, (list, tuple)) and len(weight) == len(tasks):
        weight = dict(zip(tasks, weight, strict=True))
    if not isinstance(weight, Mapping):
        weight = dict.fromkeys(tasks, weight)
    unknown = sorted(set(weight) - set(tasks))
    if unknown:
        raise error(
            "`sample_weight` names tasks that the model does not have.",
            received=f"{unknown}",
            remedy=f"Use the names {list(tasks)}.",
        )
    weights = {task: weight.get(task) for task in tasks}
    return Batch(
        x,
        {task: ops.convert_to_tensor(y[task]) for task in tasks},
        {t: None if w is None else ops.convert_to_tensor(w)
         for t, w in weights.items()},
    )  # fmt: skip
