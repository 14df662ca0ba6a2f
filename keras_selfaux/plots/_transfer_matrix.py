"""What every task gains from every other, as a heat map."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_selfaux._types import Task
from keras_selfaux.plots._cells import draw_cells, write_cells
from keras_selfaux.plots._gains import check_gains
from keras_selfaux.plots._style import Axes, axes_or_new

# In points. What does not fit into a cell at the smallest is not written.
_SMALLEST_TEXT = 5.0
_LARGEST_TEXT = 8.5

# Of the size of the text: how wide a character is at most, how high a line is.
_CHARACTER = 0.7
_LINE = 1.2

_Texts = dict[tuple[int, int], str]


def plot_transfer_matrix(
    gains: ArrayLike,
    tasks: Sequence[Task],
    std: ArrayLike | None = None,
    ax: Axes | None = None,
    label: str = "gain (%)",
) -> Axes:
    """Draws what each target gains from each source, one cell per pair.

    Colours run alike on both sides of zero: blue-green where a source helps,
    brown where it hurts. The diagonal and cells without a finite gain are
    hatched. Gains are written into the cells to two digits, with standard
    deviations under them; what would be too small to read is left out.

    Args:
        gains: Array of shape (T, T): `gains[target, source]`, NaN where there
            is none. The diagonal is not shown.
        tasks: The T names of rows and columns.
        std: Standard deviations of the gains over runs, of the same shape.
            Defaults to `None`: none are written.
        ax: The axes to draw on. Defaults to `None`: those of a new figure
            whose size grows with the number of tasks.
        label: What the colour bar says of the gains. Defaults to
            `"gain (%)"`.

    Returns:
        The `matplotlib.axes.Axes`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no task or one comes twice, or `gains` or
            `std` is not of shape (T, T).
    """
    matrix = check_gains("gains", gains, tasks)
    spreads = None if std is None else check_gains("std", std, tasks)
    finite = np.abs(matrix[np.isfinite(matrix)])
    # Without any gain but zero, any limit shows all there is.
    limit = float(finite.max(initial=0.0)) or 1.0
    side = 1.5 + max(2.5, 0.42 * len(tasks))
    ax = axes_or_new(ax, width=side + 1.1, height=side)
    image = draw_cells(
        ax, matrix, tasks, label, cmap="BrBG", vmin=-limit, vmax=limit
    )
    means = _texts(matrix, limit, "+")
    room = _side_of_cell(ax, len(tasks))
    size = _fitting_size(means, room)
    if spreads is not None:
        with_spreads = _with_spreads(means, _texts(spreads, limit, "-"))
        if (smaller := _fitting_size(with_spreads, room)) >= _SMALLEST_TEXT:
            means, size = with_spreads, smaller
    if size >= _SMALLEST_TEXT:
        write_cells(image, means, size)
    return ax


def _texts(matrix: NDArray[np.float64], limit: float, sign: str) -> _Texts:
    return {
        cell: f"{value:{sign}.{_decimals(value, limit)}f}".replace("-", "−")
        for cell, value in np.ndenumerate(matrix)
        if np.isfinite(value)
    }


def _decimals(value: float, limit: float) -> int:
    """Returns how many decimals give two digits, the largest value's three."""
    # Digits past the third of the largest gain say nothing beside it.
    most = 2 - _exponent(limit)
    wanted = 1 - _exponent(value) if value else most
    return max(0, min(wanted, most))


def _exponent(value: float) -> int:
    # Of the rounded value: 9.99 is written 10, not 10.0.
    return math.floor(math.log10(abs(float(f"{value:.1e}"))))


def _with_spreads(means: _Texts, spreads: _Texts) -> _Texts:
    return {
        cell: f"{mean}\n±{spreads[cell]}" if cell in spreads else mean
        for cell, mean in means.items()
    }


def _side_of_cell(ax: Axes, num_tasks: int) -> float:
    """Returns the side of a cell in points."""
    # What labels leave to the cells is known only once they have been placed.
    figure = ax.figure.figure  # of a subfigure, that which holds it
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    ax.apply_aspect()
    box = ax.get_window_extent()
    return float(min(box.width, box.height) / num_tasks * 72 / figure.dpi)


def _fitting_size(texts: _Texts, room: float) -> float:
    """Returns the text size at which all texts fit into their cells."""
    lines = [text.split("\n") for text in texts.values()]
    width = max((len(line) for cell in lines for line in cell), default=1)
    height = max(map(len, lines), default=1)
    fitting = 0.9 * room / max(width * _CHARACTER, height * _LINE)
    return min(_LARGEST_TEXT, fitting)
