"""How far answers differ."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# What rounding leaves, by the coarsest type that is computed in, since the
# same operations are fused in other ways here and there.
_ROUNDING = {"bfloat16": 0.08, "float16": 0.01, "float32": 1e-5}

PRECISIONS = (*_ROUNDING,)
"""Types of floats, the coarsest first."""


def rounding_tolerance(precision: str) -> float:
    """Returns what differences of answers come from rounding alone.

    Args:
        precision: The coarsest type that is computed in.
    """
    tolerance = _ROUNDING[precision]
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    if rounds and tf.config.list_logical_devices("GPU"):
        # Products have no more digits than in float16 there.
        return max(tolerance, _ROUNDING["float16"])
    return tolerance


def largest_difference(
    found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> float:
    """Returns how far answers are from others.

    Args:
        found: Arrays by name, for each of several requests.
        wanted: The same.

    Returns:
        The largest absolute difference, as a share of the largest absolute
        value wanted by that name if that is above 1; infinity where shapes,
        names, or what is not a number differ.
    """
    largest = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        if {*ours} != {*theirs}:
            return np.inf
        for name, values in theirs.items():
            largest = max(largest, difference(ours[name], values))
    return largest


def difference(found: Any, wanted: Any, scale: float | None = None) -> float:
    """Returns how far an array is from another; see `largest_difference`.

    Args:
        found: An array.
        wanted: The other.
        scale: What the difference is a share of, if not of the largest value
            wanted.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return np.inf
    if not np.issubdtype(wanted.dtype, np.inexact):
        return 0.0 if np.array_equal(found, wanted) else np.inf
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    # Infinity and NaN are as good as anything else if both have them.
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return np.inf
    if not finite.any():
        return 0.0
    if scale is None:
        scale = max(1.0, float(np.max(np.abs(wanted[finite]))))
    gap = float(np.max(np.abs(found[finite] - wanted[finite]))) / scale
    return np.inf if np.isnan(gap) else gap
