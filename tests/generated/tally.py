"""Counts generated inputs and those that were refused, by family."""

from collections.abc import Mapping

Figures = Mapping[str, tuple[int, int]]

_FIGURES: dict[str, tuple[int, int]] = {}


def count(family: str, *, refused: bool) -> None:
    """Counts one input."""
    tried, bad = _FIGURES.get(family, (0, 0))
    _FIGURES[family] = tried + 1, bad + refused


def figures() -> dict[str, tuple[int, int]]:
    """Returns how many inputs were tried and refused, by family."""
    return dict(_FIGURES)


def add(more: Figures) -> None:
    """Adds the figures of another process."""
    for family, (tried, bad) in more.items():
        before = _FIGURES.get(family, (0, 0))
        _FIGURES[family] = before[0] + tried, before[1] + bad
