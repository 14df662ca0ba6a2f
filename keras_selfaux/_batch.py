"""A batch as the step reads it: labels and sample weights by task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._checks import check_same_tasks, error, is_misfit, shown
from keras_selfaux._labels import SingleTaskLabels
from keras_selfaux._stacking import NamedNodes
from keras_selfaux._types import Task, Tensor


class Batch(NamedTuple):
    """A batch with labels and sample weights sorted by task.

    Attributes:
        x: The inputs.
        y: `{task: labels}`.
        sample_weight: `{task: weights}`, `None` for a task without any.
        single: The labels and weights of samples that belong to one task
            each, as they came; `None` for other data.
    """

    x: Any
    y: NamedNodes
    sample_weight: NamedNodes
    single: "SingleTask | None" = None

    @property
    def size(self) -> Tensor:
        """The number of samples."""
        return ops.shape(next(iter(self.y.values())))[0]


class SingleTask(NamedTuple):
    """What belongs to a batch of samples with one task each.

    Attributes:
        labels: Shape `(batch, ...)`.
        task: Integers of shape `(batch,)`.
        sample_weight: Shape `(batch,)` or `(batch, ...)`, or `None`.
    """

    labels: Tensor
    task: Tensor
    sample_weight: Tensor | None


def as_batch(data: Any, tasks: Sequence[Task]) -> Batch:
    """Sorts `(x, y)` or `(x, y, sample_weight)` by task.

    Raises:
        ValueError: If labels or sample weights do not fit the tasks.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(y, SingleTaskLabels):
        return _single_task_batch(x, y, weight, tasks)
    if isinstance(y, (list, tuple)) and len(y) == len(tasks):
        y = dict(zip(tasks, y, strict=True))
    labels = _labels(y, tasks)
    if isinstance(weight, (list, tuple)) and len(weight) == len(tasks):
        weight = dict(zip(tasks, weight, strict=True))
    return Batch(x, labels, _sample_weights(weight, tasks, _is_tensor(y)))


def _labels(y: Any, tasks: Sequence[Task]) -> NamedNodes:
    if isinstance(y, Mapping):
        check_same_tasks("y", y, tasks)
        return _named("y", {task: y[task] for task in tasks})
    if _is_tensor(y) and len(tasks) == 1:
        return _named("y", {tasks[0]: y})
    if _is_tensor(y) and _has_task_axis(y, tasks):
        return _along_task_axis("y", y, tasks)
    received = f"shape {tuple(y.shape)}" if _is_tensor(y) else type(y).__name__
    raise error(
        "Labels `y` must be a dict {task: labels}, or one tensor of shape "
        "(batch, tasks, ...).",
        received=received,
        remedy=f"Pass a dict with the keys {list(tasks)}, or give the tensor "
        f"an axis of length {len(tasks)} after the batch axis.",
    )


def _sample_weights(
    weight: Any, tasks: Sequence[Task], stacked: bool
) -> NamedNodes:
    if stacked and _is_tensor(weight) and len(tasks) > 1:
        if _has_task_axis(weight, tasks):
            return _along_task_axis("sample_weight", weight, tasks)
        if len(weight.shape) != 1:
            raise error(
                "`sample_weight` must have shape (batch,) or (batch, tasks, "
                "...) where labels are one tensor.",
                received=f"shape {tuple(weight.shape)} for {len(tasks)} tasks",
                remedy="Pass a weight per sample, or per sample and task.",
            )
    if not isinstance(weight, Mapping):
        weight = dict.fromkeys(tasks, weight)
    unknown = shown(set(weight) - set(tasks))
    if unknown:
        raise error(
            "`sample_weight` names tasks that the model does not have.",
            received=f"{unknown}",
            remedy=f"Use the names {list(tasks)}.",
        )
    given = {task: weight.get(task) for task in tasks}
    return _named("sample_weight", given)


def _single_task_batch(
    x: Any, y: SingleTaskLabels, weight: Any, tasks: Sequence[Task]
) -> Batch:
    if isinstance(weight, SingleTaskLabels):
        weight = weight.labels  # Keras gave each part of `y` the weights
    if weight is not None and not _is_tensor(weight):
        raise error(
            "`sample_weight` must be one tensor where every sample belongs "
            "to one task.",
            received=type(weight).__name__,
            remedy="Pass one weight per sample.",
        )
    labels = _tensor("SingleTaskLabels.labels", y.labels)
    owner = _tensor("SingleTaskLabels.task", y.task)
    _check_owners(owner)
    owner = ops.cast(owner, "int32")
    _check_length("SingleTaskLabels.labels", labels, owner)
    present = ops.equal(ops.arange(len(tasks))[:, None], owner[None])
    weights = ops.cast(present, "float32")
    if weight is not None:
        weight = ops.cast(_tensor("sample_weight", weight), "float32")
        _check_length("sample_weight", weight, owner)
        inner = (1,) * (len(weight.shape) - 1)
        weights = ops.reshape(weights, (*ops.shape(weights), *inner))
        weights = weights * weight[None]
    return Batch(
        x,
        NamedNodes.from_dict(dict.fromkeys(tasks, labels)),
        NamedNodes.from_stack(tasks, weights),
        SingleTask(labels, owner, weight),
    )


def _check_owners(owner: Tensor) -> None:
    """Raises unless these can be the numbers of the samples' tasks."""
    if len(owner.shape) != 1:
        raise error(
            "`SingleTaskLabels.task` must have one entry per sample.",
            received=f"shape {tuple(owner.shape)}",
            remedy="Pass integers of shape (batch,).",
        )
    found = keras.backend.standardize_dtype(owner.dtype)
    if not keras.backend.is_int_dtype(found):
        raise error(
            "`SingleTaskLabels.task` must hold integers, the numbers of tasks.",
            received=f"{found}",
            remedy='Convert it, say by `task.astype("int32")`.',
        )


def _check_length(name: str, values: Tensor, owner: Tensor) -> None:
    """Raises unless there are as many values as numbers of tasks."""
    found = values.shape[0] if len(values.shape) else 0
    if None not in (found, owner.shape[0]) and found != owner.shape[0]:
        raise error(
            f"`{name}` must have one entry per sample.",
            received=f"shape {tuple(values.shape)} for {owner.shape[0]} "
            "numbers of tasks",
            remedy="Pass equally many of both.",
        )


def _named(name: str, values: Mapping[Task, Any]) -> NamedNodes:
    converted: dict[int, Tensor] = {}
    for task, value in values.items():
        if value is None and name == "y":
            raise error(
                f"`y` must have labels of task {task!r}.",
                received="None",
                remedy="Pass NaN, or sample weights of 0, where labels are "
                "missing.",
            )
        if value is not None and id(value) not in converted:
            converted[id(value)] = _tensor(f"{name}[{task!r}]", value)
    return NamedNodes.from_dict(
        {task: converted.get(id(value)) for task, value in values.items()}
    )


def _along_task_axis(
    name: str, values: Any, tasks: Sequence[Task]
) -> NamedNodes:
    values = _tensor(name, values)
    return NamedNodes.from_stack(tasks, ops.moveaxis(values, 1, 0))


def _tensor(name: str, values: Any) -> Tensor:
    """Returns numbers as a tensor.

    Raises:
        ValueError: If they are no numbers.
    """
    try:
        tensor = ops.convert_to_tensor(values)
        found = str(getattr(tensor.dtype, "name", tensor.dtype))
    except Exception as problem:
        if not is_misfit(problem):
            raise
        tensor, found = None, str(problem)
    if tensor is None or found.startswith(("string", "complex")):
        raise error(
            f"`{name}` must be an array of numbers.",
            received=found,
            remedy="Pass integers or floats, in rows of equal length.",
        )
    return tensor


def _has_task_axis(values: Any, tasks: Sequence[Task]) -> bool:
    return len(values.shape) > 1 and values.shape[1] == len(tasks)


def _is_tensor(values: Any) -> bool:
    return hasattr(values, "shape") and hasattr(values, "dtype")
