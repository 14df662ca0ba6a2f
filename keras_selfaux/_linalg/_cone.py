"""The shortest combination of gradients with bounded weights."""

from keras import ops

from keras_selfaux._linalg._nonnegative import nonnegative_minimum
from keras_selfaux._linalg._scaling import problem
from keras_selfaux._linalg._solution import Solution, solution
from keras_selfaux._types import Tensor

# Added to the diagonal of the cosines. Where several weights are best, it
# picks short ones; it is as small as what float32 cannot tell anyway.
_RIDGE = 1e-7


def cone_weights(gramian: Tensor, present: Tensor, lower: Tensor) -> Solution:
    """Returns the weights of the shortest combination with `v >= lower`.

    It minimises `v'Mv`. The combination `sum_i v_i g_i` is the projection of
    `sum_i lower_i g_i` onto the dual cone of the gradients: it conflicts with
    none of them (DualProj, UPGrad).

    Args:
        gramian: float32, `(K, K)`.
        present: bool, `(K,)`.
        lower: `(K,)`, or `(B, K)` for B problems at once.

    Returns:
        The weights, float32, shaped as `lower`, 0 where absent. Converged
        says so of all problems at once.
    """
    posed = problem(gramian, present)
    lower = ops.cast(lower, "float64")
    zeros = ops.zeros_like(lower)
    lower = ops.where(posed.present, lower, zeros)
    is_finite = ops.all(ops.isfinite(lower))
    lower = ops.where(is_finite, lower, zeros)
    is_single = len(lower.shape) == 1
    bounds = lower[None] if is_single else lower
    # In y = lengths * v, scaled to bounds of at most 1; x = y - bounds >= 0.
    bounds = bounds * posed.lengths
    size = ops.max(ops.abs(bounds), axis=-1, keepdims=True)
    size = ops.where(size > 0, size, ops.ones_like(size))
    matrix = definite(posed.cosines)
    linear = ops.matmul(bounds / size, matrix)
    linear = ops.where(posed.present, linear, ops.ones_like(linear))
    x, converged = nonnegative_minimum(matrix, linear)
    value = (bounds + x * size) / posed.lengths
    value = ops.maximum(value[0] if is_single else value, lower)
    return solution(value, ops.all(converged) & is_finite, posed)


def definite(cosines: Tensor) -> Tensor:
    """Returns the nearest positive semidefinite matrix, plus the ridge.

    XLA's eigenvectors do as they are: the ridge outweighs their error, and
    putting only the part below 0 together from them spares the rest.

    Args:
        cosines: float64, `(K, K)`. Rounding to float32 leaves eigenvalues
            just below 0.
    """
    values, vectors = ops.eigh(cosines)
    missing = vectors * ops.maximum(-values, 0.0)
    lifted = cosines + ops.matmul(missing, ops.transpose(vectors))
    return lifted + _RIDGE * ops.eye(cosines.shape[0], dtype="float64")
