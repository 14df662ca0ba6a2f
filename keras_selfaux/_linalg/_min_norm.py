"""The shortest convex combination of gradients."""

from keras import ops

from keras_selfaux._linalg._cone import definite
from keras_selfaux._linalg._nonnegative import nonnegative_minimum
from keras_selfaux._linalg._scaling import problem
from keras_selfaux._linalg._solution import Solution, solution
from keras_selfaux._types import Tensor


def min_norm_weights(gramian: Tensor, present: Tensor) -> Solution:
    """Returns the weights of the shortest convex combination (MGDA).

    It minimises `w'Mw` on the simplex `{w >= 0, sum w = 1}`. For any `c > 0`,
    the same w up to a factor minimises `w'Mw + c (sum w - 1)^2` subject to
    `w >= 0` alone: of `w = t u`, with u in the simplex, the best t leaves
    `q c / (q + c)` for `q = u'Mu`, which grows with q.

    Args:
        gramian: float32, `(K, K)`.
        present: bool, `(K,)`.

    Returns:
        The weights, float32, `(K,)`, 0 where absent. Where several are
        best, as with rows that oppose each other in more than one way, one
        that treats alike what is alike.
    """
    posed = problem(gramian, present)
    # In y = lengths * w. With c as the shortest row's square, t is at least
    # 1/2: the optimum is no longer than that row.
    weight = posed.shortest / posed.lengths
    weight = ops.where(posed.present, weight, ops.zeros_like(weight))
    matrix = definite(posed.cosines) + weight[:, None] * weight[None, :]
    linear = ops.where(posed.present, -weight, ops.ones_like(weight))
    y, converged = nonnegative_minimum(matrix, linear[None])
    return solution(in_simplex(y[0] * weight), converged[0], posed)


def in_simplex(weights: Tensor) -> Tensor:
    """Divides weights by their sum."""
    total = ops.sum(weights)
    return weights / ops.where(total > 0, total, ops.ones_like(total))
