"""Task weights as a heat map."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_selfaux._types import Edge, Task
from keras_selfaux.plots._cells import draw_cells, write_cells
from keras_selfaux.plots._edges import tasks_of
from keras_selfaux.plots._style import Axes, axes_or_new

_MAX_TASKS_WITH_VALUES = 12


def plot_task_weights(
    task_weights: Mapping[Edge, float],
    tasks: Sequence[Task] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the weight of every loss: targets in rows, sources in columns.

    The diagonal holds the primaries. Where there is no edge the cell is
    hatched. Values are written into the cells of up to 12 tasks.

    Args:
        task_weights: `{(source, target): weight}`, such as
            `model.task_weights`.
        tasks: The order of rows and columns. Defaults to `None`: that of the
            primaries in `task_weights`, then of any other tasks there.
        ax: The axes to draw on. Defaults to `None`: those of a new figure
            whose size grows with the number of tasks.

    Returns:
        The `matplotlib.axes.Axes`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `task_weights` is empty, has a key that is not a pair,
            or has a task that is not in `tasks`.
    """
    names = tasks_of("task_weights", task_weights, tasks)
    num_tasks = len(names)
    matrix = np.full((num_tasks, num_tasks), np.nan)
    for (source, target), weight in task_weights.items():
        matrix[names.index(target), names.index(source)] = weight
    side = 1.5 + max(2.5, 0.32 * num_tasks, 0.62 * min(num_tasks, 12))
    ax = axes_or_new(ax, width=side + 0.8, height=side)
    image = draw_cells(
        ax,
        matrix,
        names,
        "task weight ω",
        cmap="cividis",
        vmin=np.nanmin(matrix, initial=0.0),
    )
    if num_tasks <= _MAX_TASKS_WITH_VALUES:
        texts = {
            cell: f"{value:.2g}"
            for cell, value in np.ndenumerate(matrix)
            if np.isfinite(value)
        }
        write_cells(image, texts, size="small")
    return ax
