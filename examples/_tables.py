"""Tables as text and as Markdown."""

from collections.abc import Sequence

Row = Sequence[str] | None
"""Cells, the first of them a label; `None` stands for a rule."""


def text(rows: Sequence[Row]) -> list[str]:
    """Returns the lines of a table with aligned columns."""
    filled = [row for row in rows if row is not None]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [rule if row is None else _aligned(row, widths) for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    label, *cells = row
    aligned = [label.ljust(widths[0])]
    aligned += [c.rjust(w) for c, w in zip(cells, widths[1:], strict=True)]
    return "  ".join(aligned)


def markdown(rows: Sequence[Row]) -> list[str]:
    """Returns the lines of a Markdown table; rules are left out."""
    header, *filled = (row for row in rows if row is not None)
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *filled)]
