"""Each task's change against its baseline, method by method, as bars."""

from collections.abc import Mapping

from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._types import PerTask
from keras_selfaux.plots._spread import Spread, as_pair, is_spread
from keras_selfaux.plots._style import COLORS, HATCHES, Axes, axes_or_new

_GROUP_WIDTH = 0.8
_MAX_TASKS_WITH_LEVEL_NAMES = 8


def plot_task_changes(
    changes: Mapping[str, PerTask[Spread]], ax: Axes | None = None
) -> Axes:
    """Draws one group of bars per task, one bar per method.

    Args:
        changes: `{method: {task: change}}`, such as the values of
            `metrics.task_changes`: percent, above zero better than the
            baseline. A pair (mean, standard deviation) gets an error bar. All
            methods must have the same tasks.
        ax: The axes to draw on. Defaults to `None`: those of a new figure
            whose width grows with the number of bars.

    Returns:
        The `matplotlib.axes.Axes`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no method or no task, methods differ in their
            tasks, or a change is neither a number nor a pair.
    """
    tasks = _check_changes(changes)
    num_bars = len(tasks) * len(changes)
    ax = axes_or_new(ax, width=min(14.0, 3.0 + 0.28 * num_bars), height=3.6)
    width = _GROUP_WIDTH / len(changes)
    for index, (method, of_task) in enumerate(changes.items()):
        pairs = [as_pair(of_task[task]) for task in tasks]
        shift = (index - (len(changes) - 1) / 2) * width
        ax.bar(
            [place + shift for place in range(len(tasks))],
            [mean for mean, _ in pairs],
            width,
            yerr=[std or 0.0 for _, std in pairs]
            if any(std is not None for _, std in pairs)
            else None,
            label=method,
            color=COLORS[index % len(COLORS)],
            hatch=HATCHES[index // len(COLORS) % len(HATCHES)],
            edgecolor="white",
            linewidth=0.5,
            error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "#444444"},
        )
    ax.axhline(0.0, color="black", linewidth=1)
    upright = len(tasks) > _MAX_TASKS_WITH_LEVEL_NAMES
    ax.set_xticks(range(len(tasks)), tasks, rotation=90 if upright else 0)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("change against baseline (%)")
    ax.margins(x=0.02)
    ax.spines[["top", "right"]].set_visible(False)
    # Beside the axes it cannot hide a bar.
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _check_changes(changes: Mapping[str, PerTask[Spread]]) -> list[str]:
    tasks = list(next(iter(changes.values()), {}))
    if not tasks:
        raise error(
            "`changes` must have at least one method and one task.",
            received=f"changes={changes!r}",
            remedy="Pass {method: {task: change in percent}}.",
        )
    for method, of_task in changes.items():
        check_same_tasks(f"changes[{method!r}]", of_task, tasks)
        for task, change in of_task.items():
            if not is_spread(change):
                raise error(
                    f"The change of task {task!r} under method {method!r} must "
                    f"be a number or a pair (mean, standard deviation).",
                    received=f"{change!r}",
                    remedy="Pass percent, or a tuple of two numbers.",
                )
    return tasks
