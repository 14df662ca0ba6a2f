"""What all plots share: the import of Matplotlib, axes and colours."""

from typing import Any

Axes = Any
"""A `matplotlib.axes.Axes`."""

COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#000000",
)
"""Okabe and Ito's colours, which colour-blind readers can tell apart."""

LINE_COLORS = COLORS[:6]
"""Those that show as a thin line on white, without black."""

LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
"""As many as share no divisor with the number of `LINE_COLORS`: the two in
turn come together again only after thirty lines."""

HELPS = COLORS[2]
HURTS = COLORS[5]
"""A bluish green and a vermilion: the sign of what a task gives another."""

HATCHES = ("", "//", "..", "xx")
"""Tell bars apart once the colours have been used up."""

ABSENT = {"facecolor": "#EEEEEE", "edgecolor": "#BBBBBB", "hatch": "////"}
"""How a cell without value looks."""


def pyplot() -> Any:
    """Returns `matplotlib.pyplot`.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as cause:
        raise ImportError(
            "Plots need Matplotlib, which could not be imported. "
            f"Received: {cause}. "
            'Install it with `pip install "keras_selfaux[plots]"`.'
        ) from cause
    return plt


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Returns `ax`, or the axes of a new figure of this size in inches."""
    plt = pyplot()
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]
