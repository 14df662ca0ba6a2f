"""A Gramian as a problem free of scale: lengths and cosines."""

from typing import NamedTuple

from keras import ops

from keras_selfaux._linalg._eigen import eigh
from keras_selfaux._types import Tensor

# Of a row's length relative to the longest one. A shorter row counts as this
# long and orthogonal to all others: float32 cannot tell.
SHORTEST = 1e-12


class Problem(NamedTuple):
    """A Gramian M, where `M_ij = scale * lengths_i * cosines_ij * lengths_j`.

    An absent row has length 1, and is orthogonal to all others.

    Attributes:
        cosines: float64, `(K, K)`, symmetric with a diagonal of 1.
        lengths: float64, `(K,)`, in `[SHORTEST, 1]`.
        scale: A float64 scalar, M's largest diagonal entry (1 if all are 0).
        present: bool, `(K,)`.
        is_finite: A bool scalar. Where False, all rows count as orthogonal.
    """

    cosines: Tensor
    lengths: Tensor
    scale: Tensor
    present: Tensor
    is_finite: Tensor

    @property
    def shortest(self) -> Tensor:
        """The length of the shortest present row: a float64 scalar."""
        return ops.min(self.lengths)


def present_part(gramian: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a Gramian with zeros for absent rows, and if it is finite.

    Args:
        gramian: `(K, K)`. Absent rows may hold anything, NaN included.
        present: bool, `(K,)`.

    Returns:
        The Gramian in float64, all zeros if it is not finite, and a bool
        scalar.
    """
    gramian = ops.cast(gramian, "float64")
    both = present[:, None] & present[None, :]
    gramian = ops.where(both, gramian, ops.zeros_like(gramian))
    is_finite = ops.all(ops.isfinite(gramian))
    gramian = ops.where(is_finite, gramian, ops.zeros_like(gramian))
    return (gramian + ops.transpose(gramian)) / 2, is_finite


def largest_entry(gramian: Tensor) -> Tensor:
    """Returns the largest diagonal entry, or 1 if none is positive."""
    largest = ops.max(ops.diagonal(gramian))
    return ops.where(largest > 0, largest, ops.ones_like(largest))


def problem(gramian: Tensor, present: Tensor) -> Problem:
    """Splits a Gramian into scale, lengths and cosines.

    Args:
        gramian: float32, `(K, K)`.
        present: bool, `(K,)`.
    """
    present = ops.cast(present, "bool")
    gramian, is_finite = present_part(gramian, present)
    scale = largest_entry(gramian)
    gramian = gramian / scale
    squares = ops.maximum(ops.diagonal(gramian), SHORTEST**2)
    lengths = ops.sqrt(ops.where(present, squares, ops.ones_like(squares)))
    cosines = gramian / (lengths[:, None] * lengths[None, :])
    identity = ops.eye(cosines.shape[0], dtype="float64")
    # Cosines just beyond 1, by rounding, stay: that is left to what follows.
    cosines = ops.clip(cosines, -2.0, 2.0)
    cosines = ops.where(identity > 0, identity, cosines)
    return Problem(cosines, lengths, scale, present, is_finite)


def factor(cosines: Tensor) -> Tensor:
    """Returns unit vectors with these cosines, as rows.

    Rounding to float32 leaves eigenvalues just below 0. They are taken as 0.

    Args:
        cosines: float64, `(K, K)`.
    """
    values, vectors = eigh(cosines)
    return vectors * ops.sqrt(ops.maximum(values, 0.0))
