"""From one label array for all tasks to one per task."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_selfaux._checks import error
from keras_selfaux._types import Task


def labels_per_task(
    labels: ArrayLike,
    task_of_sample: ArrayLike,
    tasks: Sequence[Task],
) -> dict[Task, NDArray[np.float32]]:
    """Spreads labels of samples that belong to one task each over all tasks.

    Args:
        labels: Numbers of shape `[N, ...]`. A label that is NaN stays missing.
        task_of_sample: Shape `[N]`: the task of every sample, either its name
            or its index in `tasks`, counted from 0.
        tasks: The names of the tasks, each once.

    Returns:
        `{task: float32 array}` in the order of `tasks`, each of the shape of
        `labels`, and NaN (a missing label) where the sample belongs to
        another task.

    Raises:
        ValueError: If `tasks` is empty or names a task twice, `labels` are not
            numbers with one entry per sample, or `task_of_sample` is not one
            known name or index per sample.

    Example:

    >>> labels = labels_per_task([1.0, 2.0], ["b", "a"], tasks=["a", "b"])
    >>> labels["a"]
    array([nan,  2.], dtype=float32)
    >>> labels["b"]
    array([ 1., nan], dtype=float32)
    """
    tasks = _check_tasks(tasks)
    values = np.asarray(labels)
    if values.dtype.kind not in "biuf" or values.ndim == 0:
        raise error(
            "`labels` must be an array of numbers, [N, ...].",
            received=f"shape {values.shape}, dtype {values.dtype}",
            remedy="Encode classes as numbers.",
        )
    values = values.astype(np.float32)
    indices = _task_indices(task_of_sample, tasks, len(values))
    own = indices.reshape(-1, *[1] * (values.ndim - 1))
    return {
        task: np.where(own == index, values, np.float32(np.nan))
        for index, task in enumerate(tasks)
    }


def _check_tasks(tasks: Sequence[Task]) -> list[Task]:
    names = [tasks] if isinstance(tasks, str) else list(tasks)
    if not names or len(set(names)) != len(names) or isinstance(tasks, str):
        raise error(
            "`tasks` must be a list of task names, at least one, each once.",
            received=f"tasks={tasks!r}",
            remedy="Pass a list such as ['seg', 'depth'].",
        )
    return names


def _task_indices(
    task_of_sample: ArrayLike, tasks: list[Task], num_samples: int
) -> NDArray[np.int64]:
    owners = np.asarray(task_of_sample)
    if owners.shape != (num_samples,):
        raise error(
            "`task_of_sample` must have one entry per sample.",
            received=f"shape {owners.shape} for {num_samples} samples",
            remedy="Pass an array of shape [N], N being len(labels).",
        )
    if num_samples == 0:
        return np.zeros(0, np.int64)
    if owners.dtype.kind in "iu":
        unknown = owners[(owners < 0) | (owners >= len(tasks))].tolist()
        indices = owners.tolist()
    else:
        # Names may come as bytes: TensorFlow has no other strings.
        names = [_as_text(owner) for owner in owners.tolist()]
        index_of = {task: index for index, task in enumerate(tasks)}
        unknown = [name for name in names if name not in index_of]
        indices = [index_of.get(name, -1) for name in names]
    if unknown:
        raise error(
            f"`task_of_sample` must hold names from {tasks}, or their indices "
            f"0 to {len(tasks) - 1}.",
            received=f"{unknown[0]!r} (in all {len(unknown)} unknown entries)",
            remedy="Use these names or indices, or add the task to `tasks`.",
        )
    return np.asarray(indices, np.int64)


def _as_text(name: Any) -> Any:
    return name.decode() if isinstance(name, bytes) else name
