"""Where things end up in a figure."""

from typing import Any


def assert_inside(figure: Any) -> None:
    """Asserts that axes, with all that belongs to them, are not cut off."""
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
