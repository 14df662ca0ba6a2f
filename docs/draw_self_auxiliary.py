"""Draws `self_auxiliary.svg`: what a self-auxiliary is, in one picture.

python docs/draw_self_auxiliary.py
"""

import pathlib

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#555555"


def box(
    ax: Axes, x: float, y: float, text: str, color: str, *, dashed: bool = False
) -> None:
    """Draws a rounded box with its centre at (x, y)."""
    ax.add_patch(
        FancyBboxPatch(
            (x - 0.95, y - 0.25),
            1.9,
            0.5,
            boxstyle="round,pad=0.05",
            facecolor="white",
            edgecolor=color,
            linewidth=1.8,
            linestyle="--" if dashed else "-",
        )
    )
    ax.text(x, y, text, ha="center", va="center", color=color, fontsize=9)


def arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    *,
    dashed: bool = False,
) -> None:
    """Draws an arrow from one point to another."""
    ax.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 1.6,
            "linestyle": "--" if dashed else "-",
        },
    )


def draw(path: pathlib.Path) -> None:
    """Draws the picture into a file."""
    plt.rcParams["svg.hashsalt"] = "keras_selfaux"  # the same file each time
    figure, ax = plt.subplots(figsize=(9.2, 3.4))
    box(ax, 0.0, 1.5, "trunk", GREY)
    for y, task, color in ((2.5, "seg", BLUE), (0.5, "depth", ORANGE)):
        box(ax, 2.9, y, f"branch of {task}", color)
        box(ax, 5.8, y, f"head of {task}", color)
        arrow(ax, (1.0, 1.5), (1.9, y), GREY)
        arrow(ax, (3.9, y), (4.8, y), color)
        arrow(ax, (6.8, y), (7.5, y), color)
        ax.text(7.6, y, f"{task} loss", va="center", color=color, fontsize=9)
    box(ax, 5.8, 1.5, "clone of\nseg's head", BLUE, dashed=True)
    arrow(ax, (3.9, 0.65), (4.8, 1.35), BLUE, dashed=True)
    arrow(ax, (6.8, 1.5), (7.5, 1.5), BLUE, dashed=True)
    ax.text(
        7.6,
        1.5,
        "seg loss again: teaches depth's branch,\nnever touches seg's; "
        "dropped at export",
        va="center",
        color=BLUE,
        fontsize=9,
    )
    ax.set(xlim=(-1.1, 11.0), ylim=(0.0, 3.0))
    ax.axis("off")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(pathlib.Path(__file__).with_name("self_auxiliary.svg"))
