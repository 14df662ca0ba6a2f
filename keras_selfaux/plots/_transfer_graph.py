"""Which tasks help and hurt which, as a directed graph."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_selfaux._checks import check_positive
from keras_selfaux._types import Edge, Task
from keras_selfaux.plots._gains import check_gains
from keras_selfaux.plots._style import HELPS, HURTS, Axes, axes_or_new

# All there can be between six tasks.
_MAX_ARROWS = 30

# Of an arrow, in points: the least, and the most with few and many tasks.
_MIN_WIDTH = 0.6
_MAX_WIDTH = 3.5
_MAX_WIDTH_OF_MANY = 2.5
_FEW_TASKS = 8

# Of the circle, on which tasks are at one.
_NAME_RADIUS = 1.1

# Arrows that help lie above those that hurt, and tasks above both.
_HELP = {"color": HELPS, "linestyle": "-", "zorder": 3}
_HURT = {"color": HURTS, "linestyle": (0, (4, 2)), "zorder": 2}


def plot_transfer_graph(
    gains: ArrayLike,
    tasks: Sequence[Task],
    threshold: float = 0.0,
    ax: Axes | None = None,
) -> Axes:
    """Draws an arrow from each source to each target that it helps or hurts.

    Arrows of sources that help are solid and green, those of sources that
    hurt dashed and red; the larger the gain or the loss, the wider. At most
    the 30 widest of either kind are drawn, which is all that six tasks can
    have; the legend says how many are left out.

    Args:
        gains: Array of shape (T, T): `gains[target, source]`, NaN where there
            is none. The diagonal is not shown.
        tasks: The T names, drawn clockwise from the top.
        threshold: Zero or above. A source helps if the gain is above it, and
            hurts if the gain is below zero; between the two there is no
            arrow. Defaults to `0.0`.
        ax: The axes to draw on. Defaults to `None`: those of a new figure
            whose size grows with the number of tasks.

    Returns:
        The `matplotlib.axes.Axes`. The `gid` of an arrow is
        `"source->target"`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no task or one comes twice, `gains` is not of
            shape (T, T), or `threshold` is below zero.
    """
    matrix = check_gains("gains", gains, tasks)
    check_positive("threshold", threshold, zero=True)
    helping = _pairs(matrix, np.isfinite(matrix) & (matrix > threshold), tasks)
    hurting = _pairs(matrix, np.isfinite(matrix) & (matrix < 0), tasks)
    side = min(8.0, 3.2 + 0.25 * len(tasks))
    ax = axes_or_new(ax, width=side + 0.6, height=side + 0.6)
    places = _draw_tasks(ax, tasks)
    largest = max(map(abs, [*helping.values(), *hurting.values()]), default=1.0)
    most = _MAX_WIDTH if len(tasks) <= _FEW_TASKS else _MAX_WIDTH_OF_MANY
    for pairs, style in ((hurting, _HURT), (helping, _HELP)):
        for (source, target), gain in list(pairs.items())[:_MAX_ARROWS]:
            width = _MIN_WIDTH + (most - _MIN_WIDTH) * abs(gain) / largest
            arrow = _arrow(places[source], places[target], width, style)
            arrow.set_gid(f"{source}->{target}")
            ax.add_patch(arrow)
    _explain(ax, helping, hurting, threshold)
    return ax


def _pairs(
    matrix: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    tasks: Sequence[Task],
) -> dict[Edge, float]:
    """Returns the chosen gains by (source, target), the strongest first."""
    gains = {
        (tasks[source], tasks[target]): float(matrix[target, source])
        for target, source in np.argwhere(chosen)
    }
    strength = sorted(gains, key=lambda edge: abs(gains[edge]), reverse=True)
    return {edge: gains[edge] for edge in strength}


def _draw_tasks(
    ax: Axes, tasks: Sequence[Task]
) -> dict[Task, tuple[float, float]]:
    """Draws the tasks on a circle and returns where each one is."""
    places = {}
    for index, task in enumerate(tasks):
        angle = math.pi / 2 - 2 * math.pi * index / len(tasks)
        x, y = math.cos(angle), math.sin(angle)
        places[task] = (x, y)
        ax.plot(x, y, "o", color="black", markersize=7, zorder=4)
        ax.text(
            _NAME_RADIUS * x,
            _NAME_RADIUS * y,
            task,
            # Names grow away from the circle.
            ha="center" if abs(x) < 0.1 else "left" if x > 0 else "right",
            va="center" if abs(y) < 0.9 else "bottom" if y > 0 else "top",
        )
    ax.set_xlim(-1.2, 1.2)
    ax.set_ylim(-1.2, 1.2)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return places


def _arrow(
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    style: dict[str, Any],
) -> Any:
    from matplotlib.patches import FancyArrowPatch

    return FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        # Curved to one side, an arrow keeps clear of the opposite one.
        connectionstyle="arc3,rad=0.15",
        mutation_scale=7 + 2 * width,
        shrinkA=5,
        shrinkB=5,
        linewidth=width,
        **style,
    )


def _explain(
    ax: Axes,
    helping: dict[Edge, float],
    hurting: dict[Edge, float],
    threshold: float,
) -> None:
    """Adds the legend, with a note on what is left out."""
    kinds = (
        (helping, _HELP, f"helps: gain above {threshold:g}", "up"),
        (hurting, _HURT, "hurts: gain below 0", "down"),
    )
    for pairs, style, text, way in kinds:
        # The strongest comes first.
        largest = [f", {way} to {gain:+.2g}" for gain in pairs.values()][:1]
        label = "".join([text, *largest]).replace("-", "−")
        ax.plot([], [], linewidth=2, label=label, **style)
    weaker = [max(0, len(pairs) - _MAX_ARROWS) for pairs in (helping, hurting)]
    if any(weaker):
        note = f"not drawn: {weaker[0]} weaker that help, {weaker[1]} that hurt"
        ax.plot([], [], linestyle="", label=note)
    # Below the axes it cannot hide an arrow.
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.0))
