"""One cell per pair of tasks: targets in rows, sources in columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._types import Task
from keras_selfaux.plots._style import ABSENT, Axes, pyplot

_MAX_TASKS_WITH_LEVEL_NAMES = 4


def draw_cells(
    ax: Axes,
    matrix: NDArray[np.float64],
    tasks: Sequence[Task],
    label: str,
    **colors: Any,
) -> Any:
    """Draws a matrix as a heat map with a colour bar and the tasks' names.

    Cells without a finite value are hatched.

    Args:
        ax: The axes to draw on.
        matrix: One value per pair, by target and source.
        tasks: Names of rows and columns.
        label: What the colour bar says of the values.
        **colors: How `imshow` turns values into colours.

    Returns:
        What `imshow` returns.
    """
    # A patch behind the image shows through wherever a value is missing.
    num = len(tasks)
    rectangle = pyplot().Rectangle
    ax.add_patch(
        rectangle((-0.5, -0.5), num, num, linewidth=0, zorder=0, **ABSENT)
    )
    image = ax.imshow(np.ma.masked_invalid(matrix), zorder=1, **colors)
    ax.figure.colorbar(image, ax=ax).set_label(label)
    _label(ax, tasks)
    return image


def write_cells(
    image: Any, texts: Mapping[tuple[int, int], str], size: float | str
) -> None:
    """Writes texts into cells, by row and column, to stand out from them."""
    matrix = image.get_array()
    for (row, column), text in texts.items():
        red, green, blue, _ = image.cmap(image.norm(matrix[row, column]))
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        image.axes.text(
            column,
            row,
            text,
            color="black" if is_light else "white",
            fontsize=size,
            ha="center",
            va="center",
        )


def _label(ax: Axes, tasks: Sequence[Task]) -> None:
    upright = len(tasks) > _MAX_TASKS_WITH_LEVEL_NAMES
    ax.set_xticks(range(len(tasks)), tasks, rotation=90 if upright else 0)
    ax.set_yticks(range(len(tasks)), tasks)
    ax.set_xlabel("source (whose labels)")
    ax.set_ylabel("target (whose branch)")
    ax.tick_params(length=0)
    # Thin white lines between the cells.
    edges = np.arange(len(tasks) + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
