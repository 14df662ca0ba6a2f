"""Eigenvalues of a Gramian, and what its rank allows to solve."""

import numpy as np
from keras import ops

from keras_selfaux._linalg._eigen import eigh
from keras_selfaux._linalg._scaling import largest_entry, present_part
from keras_selfaux._linalg._solution import in_float32
from keras_selfaux._types import Tensor

# Times K and the largest eigenvalue: what rounding to float32 may add.
_EPSILON = float(np.finfo("float32").eps)


def spectrum(gramian: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns eigenvalues and eigenvectors of the present part.

    Args:
        gramian: float32, `(K, K)`.
        present: bool, `(K,)`.

    Returns:
        The eigenvalues in ascending order, float32, `(K,)`; the eigenvectors
        as columns, float32, `(K, K)`; and which of them count, bool, `(K,)`:
        those above `K eps` times the largest eigenvalue, with the eps of
        float32. Each absent row comes first, with a unit vector and the
        eigenvalue 0 that does not count. Where the Gramian is not finite, the
        eigenvalues are NaN and none counts.
    """
    values, vectors, scale, kept, is_finite = _decompose(gramian, present)
    values = ops.where(is_finite, values * scale, float("nan") * values)
    return in_float32(values), in_float32(vectors), kept


def pseudo_solve(gramian: Tensor, present: Tensor, vector: Tensor) -> Tensor:
    """Returns the shortest x among those that make `Mx - b` shortest.

    Args:
        gramian: float32, `(K, K)`: M.
        present: bool, `(K,)`.
        vector: `(K,)`: b.

    Returns:
        `M^+ b`, float32, `(K,)`, 0 where absent, with the rank of `spectrum`.
        NaN where the Gramian or a present entry of b is not finite.
    """
    values, vectors, scale, kept, is_finite = _decompose(gramian, present)
    present = ops.cast(present, "bool")
    vector = ops.cast(vector, "float64")
    zeros = ops.zeros_like(vector)
    vector = ops.where(present, vector, zeros)
    along = ops.sum(vectors * vector[:, None], axis=0)
    along = ops.where(kept, along / ops.where(kept, values, 1.0), zeros)
    solved = ops.sum(vectors * along, axis=-1) / scale
    is_finite = is_finite & ops.all(ops.isfinite(vector))
    solved = ops.where(is_finite, solved, zeros + float("nan"))
    return in_float32(ops.where(present, solved, zeros))


def _decompose(
    gramian: Tensor, present: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns eigenvalues over a scale, eigenvectors, the scale, and masks.

    The masks say which eigenvalues count and if the Gramian is finite.
    """
    present = ops.cast(present, "bool")
    gramian, is_finite = present_part(gramian, present)
    scale = largest_entry(gramian)
    # Apart from the eigenvalues of the present part, which are not below 0:
    # otherwise eigenvectors would mix absent rows with a null space.
    absent = ops.cast(~present, "float64")
    identity = ops.eye(gramian.shape[0], dtype="float64")
    values, vectors = eigh(gramian / scale - absent * identity)
    values = ops.where(values < -0.5, ops.zeros_like(values), values)
    count = ops.sum(ops.cast(present, "float64"))
    kept = values > _EPSILON * count * ops.max(values)
    return values, vectors, scale, kept & is_finite, is_finite
