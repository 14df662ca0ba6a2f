"""Eigenvectors of small symmetric matrices, to all digits of float64."""

import numpy as np
from keras import ops

from keras_selfaux._types import Tensor

# XLA's own eigenvectors leave off-diagonal entries of up to about 1e-6, as
# much as rounding a Gramian to float32 makes. LAPACK's need no sweep at all.
_SWEEPS = 5
# Times K, relative to the largest eigenvalue.
_OFF_DIAGONAL = 1e-15


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Returns eigenvalues and eigenvectors, refined by Jacobi's method.

    Args:
        matrix: float64, `(K, K)`, symmetric, finite.

    Returns:
        The eigenvalues in ascending order, `(K,)`, and the eigenvectors as
        columns, `(K, K)`.
    """
    size = matrix.shape[0]
    identity = ops.eye(size, dtype="float64")
    _, vectors = ops.eigh(matrix)
    rotated = ops.matmul(ops.transpose(vectors), ops.matmul(matrix, vectors))
    rounds = _rounds(size)
    pairs = ops.convert_to_tensor(rounds)

    def is_wanted(k: Tensor, rotated: Tensor, vectors: Tensor) -> Tensor:
        off = ops.max(ops.abs(rotated * (1 - identity)))
        return off > _OFF_DIAGONAL * size * ops.max(ops.abs(rotated))

    def rotate(
        k: Tensor, rotated: Tensor, vectors: Tensor
    ) -> tuple[Tensor, ...]:
        rotation = _rotation(rotated, pairs[k % len(rounds)], identity)
        rotated = ops.matmul(rotated, rotation)
        rotated = ops.matmul(ops.transpose(rotation), rotated)
        return k + 1, rotated, ops.matmul(vectors, rotation)

    _, rotated, vectors = ops.while_loop(
        is_wanted,
        rotate,
        (ops.zeros((), dtype="int32"), rotated, vectors),
        maximum_iterations=_SWEEPS * len(rounds),
    )
    values = ops.diagonal(rotated)
    order = ops.argsort(values)
    return ops.take(values, order), ops.take(vectors, order, axis=1)


def _rotation(matrix: Tensor, pairs: Tensor, identity: Tensor) -> Tensor:
    """Returns the rotation that makes the entries of all pairs 0.

    For a pair (p, q), with `d = m_qq - m_pp`, the tangent is
    `2 m_pq sign(d) / (|d| + sqrt(d^2 + 4 m_pq^2))`; for (q, p) it is the
    negative of that. A row without a partner stays.
    """
    partner = ops.abs(pairs)
    diagonal = ops.sum(matrix * identity, axis=-1)
    # Twice, which makes both tangents of a pair the same to the last digit.
    twice = ops.sum((matrix + ops.transpose(matrix)) * partner, axis=-1)
    distance = ops.sum(diagonal * partner, axis=-1) - diagonal
    tie = ops.sum(pairs, axis=-1)
    sign = ops.where(distance == 0, tie, ops.sign(distance))
    length = ops.sqrt(distance * distance + twice * twice)
    tangent = twice * sign / ops.maximum(ops.abs(distance) + length, 1e-300)
    cosine = 1 / ops.sqrt(1 + tangent * tangent)
    sine = tangent * cosine
    return cosine[:, None] * identity + sine[:, None] * partner


def _rounds(size: int) -> np.ndarray:
    """Returns rounds of disjoint pairs in which each pair occurs once.

    Returns:
        float64, `(rounds, K, K)`. The entry (p, q) of a round is 1 if p and q
        are a pair and p < q, -1 if they are one and p > q, and 0 otherwise.
    """
    even = size + size % 2
    pairs = np.zeros((even - 1, size, size))
    for number in range(even - 1):
        for first in range(even - 1):
            # The sum of a pair is the same, modulo `even - 1`. The row that
            # would meet itself meets the last one instead.
            second = (2 * number - first) % (even - 1)
            second = even - 1 if second == first else second
            if first < second < size:
                pairs[number, first, second] = 1
                pairs[number, second, first] = -1
    return pairs
