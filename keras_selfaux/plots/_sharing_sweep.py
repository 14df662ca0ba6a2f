"""A result against how much tasks share, setting by setting, as lines."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_selfaux._checks import error
from keras_selfaux.plots._spread import Spread, as_pair, is_number, is_spread
from keras_selfaux.plots._style import (
    LINE_COLORS,
    LINE_STYLES,
    Axes,
    axes_or_new,
)

_Result = Spread | list[float]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAX_ROWS_IN_LEGEND = 12


def plot_sharing_sweep(
    results: Mapping[str, Mapping[int, _Result]],
    ax: Axes | None = None,
    ylabel: str = "Δm (%)",
    xlabel: str = "shared stages",
) -> Axes:
    """Draws one line per setting over the number of shared stages.

    Args:
        results: `{setting: {num_shared_stages: result}}`, such as the values
            of `metrics.delta_m` of networks that share by other rules. A
            result is a number, a pair (mean, standard deviation), or a list
            of the numbers of several runs, whose mean is drawn. Standard
            deviations get an error bar; that of a list is the sample's.
            Settings may have been run with different numbers of stages.
        ax: The axes to draw on. Defaults to `None`: those of a new figure.
        ylabel: What the results are. Defaults to `"Δm (%)"`.
        xlabel: What the settings share. Defaults to `"shared stages"`.

    Returns:
        The `matplotlib.axes.Axes`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no setting or one has no result, a number of
            stages is not a number, or a result is none of the above.
    """
    _check_results(results)
    # Beside the axes, the legend cannot hide a line.
    num_columns = math.ceil(len(results) / _MAX_ROWS_IN_LEGEND)
    ax = axes_or_new(ax, width=4.5 + 1.5 * num_columns, height=3.6)
    ax.axhline(0.0, color="black", linewidth=1, zorder=1)
    for index, (setting, of_stages) in enumerate(results.items()):
        stages = sorted(of_stages)
        pairs = [as_pair(_over_runs(of_stages[stage])) for stage in stages]
        ax.errorbar(
            stages,
            [mean for mean, _ in pairs],
            yerr=[std or 0.0 for _, std in pairs]
            if any(std is not None for _, std in pairs)
            else None,
            label=setting,
            color=LINE_COLORS[index % len(LINE_COLORS)],
            linestyle=LINE_STYLES[index % len(LINE_STYLES)],
            marker=_MARKERS[index % len(_MARKERS)],
            capsize=3,
            elinewidth=1,
        )
    # There is no half stage.
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        ncols=num_columns,
        handlelength=3.0,  # shows the whole pattern of a dashed line
    )
    return ax


def _over_runs(result: _Result) -> Spread:
    """Returns a list's mean and standard deviation, anything else as it is."""
    if not isinstance(result, list):
        return result
    runs = np.asarray(result, dtype=np.float64)
    if len(runs) == 1:  # which has no standard deviation
        return float(runs[0])
    # A run that came to nothing may be infinite.
    with np.errstate(invalid="ignore"):
        return float(runs.mean()), float(runs.std(ddof=1))


def _is_result(result: Any) -> bool:
    if isinstance(result, list):
        return bool(result) and all(map(is_number, result))
    return is_spread(result)


def _check_results(results: Mapping[str, Mapping[int, _Result]]) -> None:
    remedy = "Pass {setting: {number of shared stages: result}}."
    if not results or not all(results.values()):
        raise error(
            "`results` must have a setting, and every setting a result.",
            received=f"results={results!r}",
            remedy=remedy,
        )
    for setting, of_stages in results.items():
        for stages, result in of_stages.items():
            if not is_number(stages):
                raise error(
                    f"The keys of setting {setting!r} must be numbers.",
                    received=f"{stages!r}",
                    remedy=remedy,
                )
            if not _is_result(result):
                raise error(
                    f"The result of setting {setting!r} with {stages} shared "
                    f"stages must be a number, a pair (mean, standard "
                    f"deviation) or a list of numbers.",
                    received=f"{result!r}",
                    remedy="Pass a number, a tuple of two or a list.",
                )
