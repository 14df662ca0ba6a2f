"""Lengths of rows, and cosines between them, from their inner products."""

from keras import ops

from keras_selfaux._types import Tensor


def lengths_and_cosines(
    gramian: Tensor, present: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the rows' lengths, `(K,)`, and their cosines, `(K, K)`.

    Methods that work on directions find more digits here than in the
    Gramian, where a row 1e3 times as long counts 1e6 times.

    Args:
        gramian: Tensor of shape `(K, K)`.
        present: Tensor of shape `(K,)`, bool; all else is 0.
    """
    squares = ops.where(present, ops.diagonal(gramian), 0.0)
    lengths = ops.sqrt(squares)
    cosines = ops.divide_no_nan(gramian, lengths[:, None])
    cosines = ops.divide_no_nan(cosines, lengths)
    return lengths, ops.clip(cosines, -1.0, 1.0)


def square(coefficients: Tensor, gramian: Tensor) -> Tensor:
    """Returns the squared length of combinations of rows.

    Not a matrix product, which some devices round to a few digits.

    Args:
        coefficients: Tensor of shape `(..., K)`.
        gramian: Tensor of shape `(K, K)`, of these rows.

    Returns:
        Tensor of shape `(...)`, 0 where rounding made it negative.
    """
    products = applied(gramian, coefficients)
    return ops.maximum(ops.sum(coefficients * products, axis=-1), 0.0)


def applied(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Returns a matrix `(K, K)` times each of the vectors `(..., K)`."""
    return ops.sum(matrix * vectors[..., None, :], axis=-1)
