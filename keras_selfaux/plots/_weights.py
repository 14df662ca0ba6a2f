"""Task weights as a heat map."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._checks import error
from keras_selfaux._types import Edge, Task
from keras_selfaux.plots._style import ABSENT, Axes, axes_or_new, pyplot

_MAX_TASKS_WITH_VALUES = 12
_MAX_TASKS_WITH_LEVEL_NAMES = 4


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
    names = _check_tasks(task_weights, tasks)
    num_tasks = len(names)
    matrix = np.full((num_tasks, num_tasks), np.nan)
    for (source, target), weight in task_weights.items():
        matrix[names.index(target), names.index(source)] = weight
    side = 1.5 + max(2.5, 0.32 * num_tasks, 0.62 * min(num_tasks, 12))
    ax = axes_or_new(ax, width=side + 0.8, height=side)
    plt = pyplot()
    # A patch behind the image shows through wherever a value is missing.
    ax.add_patch(
        plt.Rectangle(
            (-0.5, -0.5), num_tasks, num_tasks, linewidth=0, zorder=0, **ABSENT
        )
    )
    image = ax.imshow(
        np.ma.masked_invalid(matrix),
        cmap="cividis",
        vmin=np.nanmin(matrix, initial=0.0),
        zorder=1,
    )
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label("task weight ω")
    _label(ax, names)
    if num_tasks <= _MAX_TASKS_WITH_VALUES:
        _write_values(ax, image, matrix)
    return ax


def _label(ax: Axes, names: list[Task]) -> None:
    upright = len(names) > _MAX_TASKS_WITH_LEVEL_NAMES
    ax.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("source (whose labels)")
    ax.set_ylabel("target (whose branch)")
    ax.tick_params(length=0)
    # Thin white lines between the cells.
    edges = np.arange(len(names) + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _write_values(ax: Axes, image: Axes, matrix: NDArray[np.float64]) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        ax.text(
            column,
            row,
            f"{value:.2g}",
            color="black" if is_light else "white",
            fontsize="small",
            ha="center",
            va="center",
        )


def _check_tasks(
    task_weights: Mapping[Edge, float], tasks: Sequence[Task] | None
) -> list[Task]:
    for edge in task_weights:
        if not isinstance(edge, tuple) or len(edge) != 2:
            raise error(
                "A key of `task_weights` must be a pair (source, target).",
                received=f"{edge!r}",
                remedy="Pass a mapping such as `model.task_weights`.",
            )
    # The order of the primaries is that of the model's tasks.
    primaries = [source for source, target in task_weights if source == target]
    others = [task for edge in task_weights for task in edge]
    found = list(dict.fromkeys(primaries + others))
    if not found:
        raise error(
            "`task_weights` must have at least one entry.",
            received=f"task_weights={task_weights!r}",
            remedy="Pass a mapping such as `model.task_weights`.",
        )
    if tasks is None:
        return found
    unknown = [task for task in found if task not in tasks]
    if unknown:
        raise error(
            "`tasks` must name every task of `task_weights`.",
            received=f"tasks={list(tasks)}, without {unknown}",
            remedy="Add these tasks, or leave `tasks` out.",
        )
    return list(tasks)
