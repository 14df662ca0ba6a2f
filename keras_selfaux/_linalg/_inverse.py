"""Inverses of small positive definite matrices."""

from keras import ops

from keras_selfaux._types import Tensor

# Of a pivot, relative to the diagonal entry it started as.
_SMALLEST_PIVOT = 1e-15


def inverse(matrices: Tensor) -> Tensor:
    """Inverts symmetric positive definite matrices by symmetric sweeps.

    For K of about 10, XLA runs this several times faster than a Cholesky
    factorisation or a general inverse. Lengths of rows do not matter, since
    all matrices are scaled to a diagonal of 1 before.

    A sweep of row k, with pivot p and column c, is `A - (c - e)(c - e)' / p`
    for the k-th unit vector e, but for its own diagonal entry: that comes out
    larger by 2. No later sweep reads it, so all are mended at the end.

    Args:
        matrices: float64, `(..., K, K)`. A matrix that is singular up to
            rounding is treated as if it were just not.

    Returns:
        float64, `(..., K, K)`.
    """
    size = matrices.shape[-1]
    identity = ops.eye(size, dtype="float64")
    lengths = ops.sqrt(ops.sum(matrices * identity, axis=-1))
    outer = lengths[..., :, None] * lengths[..., None, :]

    def sweep(k: Tensor, swept: Tensor) -> Tensor:
        unit = identity[k]
        column = ops.sum(swept * unit, axis=-1)
        pivot = ops.sum(column * unit, axis=-1)[..., None]
        column = column - unit
        # Divided before the outer product: fewer divisions.
        row = column / ops.maximum(pivot, _SMALLEST_PIVOT)
        return swept - column[..., :, None] * row[..., None, :]

    swept = ops.fori_loop(0, size, sweep, matrices / outer)
    return (2 * identity - swept) / outer
