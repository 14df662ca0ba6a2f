"""Task weights over epochs, one panel per target."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._checks import error
from keras_selfaux._types import Edge, Task
from keras_selfaux.plots._edges import tasks_of
from keras_selfaux.plots._style import LINE_COLORS, LINE_STYLES, Axes, pyplot

_MAX_TASKS_WITH_ALL_SOURCES = 6
_NUM_NAMED_SOURCES = 3
_MAX_COLUMNS = 4

_PRIMARY = {
    "color": "black",
    "linewidth": 2.5,
    "zorder": 4,
    "label": "primary",
}
_UNNAMED = {"color": "#BBBBBB", "linewidth": 0.6, "zorder": 2}


def plot_weight_history(
    history: Sequence[Mapping[Edge, float]],
    epochs: Sequence[float] | None = None,
    tasks: Sequence[Task] | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Draws how the weights of every target's losses change, in one panel each.

    The primary is black and thick. With up to six tasks every source has a
    colour and line style of its own, the same in all panels. With more, each
    panel names the three auxiliaries with the largest weights over all epochs
    and leaves the others thin and grey.

    Args:
        history: One mapping `{(source, target): weight}` per recorded epoch,
            such as `model.task_weights`. A line is broken where its pair is
            missing.
        epochs: The recorded epochs. Defaults to `None`: 1, 2, 3, …
        tasks: The order of the panels and of the sources. Defaults to `None`:
            that of the primaries in `history`, then of any other tasks there.
        axes: The axes to draw on, one per target. Defaults to `None`: those
            of a new figure with up to four panels in a row.

    Returns:
        The `matplotlib.axes.Axes`, one per target that has a weight.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `history` is empty, is not a sequence of mappings by
            pair, or has a task that is not in `tasks`; or if there is not one
            of `epochs` per entry or not one of `axes` per target.
    """
    edges = _check_entries(history)
    names = tasks_of("history", edges, tasks)
    epochs = _check_epochs(epochs, len(history))
    lines = {
        edge: np.array([entry.get(edge, np.nan) for entry in history], float)
        for edge in edges
    }
    targets = [name for name in names if name in {edge[1] for edge in edges}]
    panels = _panels(axes, targets)
    for target, ax in zip(targets, panels, strict=True):
        own = {s: lines[s, target] for s in names if (s, target) in lines}
        _draw_lines(ax, epochs, own, target, names)
        _explain(ax, target)
        if axes is None and not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    return panels


def _draw_lines(
    ax: Axes,
    epochs: Sequence[float],
    weights: dict[Task, NDArray[np.float64]],
    target: Task,
    tasks: Sequence[Task],
) -> None:
    # A line through one epoch has no length.
    marker = "o" if len(epochs) == 1 else ""
    auxiliaries = [source for source in weights if source != target]
    named = auxiliaries
    if len(tasks) > _MAX_TASKS_WITH_ALL_SOURCES:
        totals = {source: np.nansum(weights[source]) for source in auxiliaries}
        named = sorted(auxiliaries, key=totals.__getitem__, reverse=True)
        named = named[:_NUM_NAMED_SOURCES]
    if target in weights:
        ax.plot(epochs, weights[target], marker=marker, **_PRIMARY)
    for source in named:
        style = _style_of(tasks.index(source))
        ax.plot(epochs, weights[source], marker=marker, label=source, **style)
    for source in auxiliaries:
        if source not in named:
            ax.plot(epochs, weights[source], marker=marker, **_UNNAMED)


def _style_of(index: int) -> dict[str, Any]:
    return {
        "color": LINE_COLORS[index % len(LINE_COLORS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "linewidth": 1.5,
        "zorder": 3,
    }


def _explain(ax: Axes, target: Task) -> None:
    ax.set_title(f"target {target}", fontsize="medium")
    ax.set_xlabel("epoch")
    ax.set_ylabel("task weight ω")
    # There is no half epoch.
    ax.locator_params(axis="x", integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    # Beside the axes it cannot hide a line.
    ax.legend(
        frameon=False,
        fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.0,
    )


def _panels(
    axes: Sequence[Axes] | None, targets: Sequence[Task]
) -> tuple[Axes, ...]:
    """Returns one axes per target, those of a new figure if there are none."""
    plt = pyplot()
    if axes is not None:
        # `plt.subplots` makes a table of them.
        panels = tuple(np.ravel(axes))
        if len(panels) != len(targets):
            raise error(
                "`axes` must be one axes per target.",
                received=f"{len(panels)} axes for the targets {list(targets)}",
                remedy="Pass as many as there are targets, or leave `axes` "
                "out.",
            )
        return panels
    num_rows = math.ceil(len(targets) / _MAX_COLUMNS)
    num_columns = math.ceil(len(targets) / num_rows)
    _, grid = plt.subplots(
        num_rows,
        num_columns,
        figsize=(3.6 * num_columns, 0.4 + 2.1 * num_rows),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for unused in grid.flat[len(targets) :]:
        unused.remove()
    return tuple(grid.flat[: len(targets)])


def _check_entries(history: Sequence[Mapping[Edge, float]]) -> list[Edge]:
    """Returns the pairs of all epochs."""
    for entry in history:
        if not isinstance(entry, Mapping):
            raise error(
                "`history` must be a sequence of mappings, one per epoch.",
                received=f"{entry!r} in {type(history).__name__}",
                remedy="Collect `model.task_weights` in a list.",
            )
    return list(dict.fromkeys(edge for entry in history for edge in entry))


def _check_epochs(
    epochs: Sequence[float] | None, num_entries: int
) -> Sequence[float]:
    if epochs is None:
        return range(1, num_entries + 1)
    if len(epochs) != num_entries:
        raise error(
            "`epochs` must be one number per entry of `history`.",
            received=f"{len(epochs)} epochs, {num_entries} entries",
            remedy="Pass the epochs of these entries, or leave `epochs` out.",
        )
    return epochs
