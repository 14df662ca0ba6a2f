"""What a table of gains must look like."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_selfaux._checks import error
from keras_selfaux._types import Task


def check_gains(
    name: str, gains: ArrayLike, tasks: Sequence[Task]
) -> NDArray[np.float64]:
    """Returns a copy of the argument `name`, with nothing on the diagonal.

    Raises:
        ValueError: If there is no task, a name comes twice, or there is not
            one number per pair of tasks.
    """
    if not len(tasks) or len(set(tasks)) != len(tasks):
        raise error(
            "`tasks` must be at least one name, and each name once.",
            received=f"tasks={list(tasks)}",
            remedy="Pass the tasks in the order of the rows and columns.",
        )
    matrix = np.array(gains, dtype=np.float64)
    if matrix.shape != (len(tasks), len(tasks)):
        raise error(
            f"`{name}` must have one row per target and one column per source.",
            received=f"shape {matrix.shape} with {len(tasks)} tasks",
            remedy=f"Pass `{name}[target, source]` for these tasks, NaN where "
            "there is no number.",
        )
    np.fill_diagonal(matrix, np.nan)
    return matrix
