"""What a solver returns."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_selfaux._linalg._scaling import Problem
from keras_selfaux._types import Tensor

_LARGEST = float(np.finfo("float32").max)


class Solution(NamedTuple):
    """A result, and whether it is one.

    Attributes:
        value: float32. Where not converged, the best finite iterate; 0 where
            the Gramian itself is not finite.
        converged: A bool scalar, whether the solver reached its tolerance.
    """

    value: Tensor
    converged: Tensor


def in_float32(value: Tensor) -> Tensor:
    """Casts to float32 what may be too large for it: that is clipped."""
    return ops.cast(ops.clip(value, -_LARGEST, _LARGEST), "float32")


def solution(value: Tensor, converged: Tensor, problem: Problem) -> Solution:
    """Returns a solver's result in float32, 0 where a row is absent.

    Args:
        value: float64, `(..., K)`.
        converged: A bool scalar.
        problem: What was solved.
    """
    fits = ops.logical_and(ops.isfinite(value), ops.abs(value) <= _LARGEST)
    fits = ops.all(ops.logical_or(fits, ~problem.present))
    is_empty = ~ops.any(problem.present)
    converged = ops.logical_or(ops.logical_and(converged, fits), is_empty)
    is_wanted = problem.present & problem.is_finite & ~ops.isnan(value)
    value = ops.where(is_wanted, value, ops.zeros_like(value))
    return Solution(in_float32(value), converged & problem.is_finite)
