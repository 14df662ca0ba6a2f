"""A number, or its mean and standard deviation over runs."""

from typing import Any

import numpy as np

Spread = float | tuple[float, float]


def is_number(value: Any) -> bool:
    """Returns whether `value` is one number, maybe of NumPy's."""
    # NumPy's scalars are no `float`, but turn into one; so do some arrays.
    return hasattr(value, "__float__") and np.ndim(value) == 0


def is_spread(value: Any) -> bool:
    """Returns whether `value` is a number or a pair of numbers."""
    if isinstance(value, tuple):
        return len(value) == 2 and all(map(is_number, value))
    return is_number(value)


def as_pair(value: Spread) -> tuple[float, float | None]:
    """Returns mean and standard deviation; a number has none."""
    if isinstance(value, tuple):
        return value
    return value, None
