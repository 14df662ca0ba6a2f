"""The weights of conflict-averse gradient descent."""

from keras import ops

from keras_selfaux._linalg._ball import BallProblem, ball_multipliers
from keras_selfaux._linalg._min_norm import in_simplex
from keras_selfaux._linalg._scaling import factor, problem
from keras_selfaux._linalg._solution import Solution, solution
from keras_selfaux._types import Tensor

# A mean gradient that is shorter, relative to the longest row, is only what
# rounding has left.
_SHORTEST_MEAN = 1e-9


def conflict_averse_weights(
    gramian: Tensor, present: Tensor, radius: float
) -> Solution:
    """Returns the weights of CAGrad's dual problem.

    With the mean u (1 over their number for each present row), it minimises
    `w'Mu + radius * sqrt(u'Mu) * sqrt(w'Mw)` on the simplex
    `{w >= 0, sum w = 1}`. These are the multipliers in CAGrad's own problem:
    within a ball around the mean gradient g, of the given radius in units of
    g's length, find the direction d whose smallest `<g_i, d>` is largest.

    Args:
        gramian: float32, `(K, K)`: M.
        present: bool, `(K,)`.
        radius: A nonnegative number, called c in the paper.

    Returns:
        The weights, float32, `(K,)`, 0 where absent.
    """
    posed = problem(gramian, present)
    rows = factor(posed.cosines)
    zeros = ops.zeros_like(posed.lengths)
    mean = ops.matmul(ops.where(posed.present, posed.lengths, zeros), rows)
    length = ops.sqrt(ops.sum(mean * mean))
    mean = mean / ops.maximum(length, _SHORTEST_MEAN)
    # In y = lengths * w, in units of the shortest row and of the mean's
    # length. An absent row's constraint is always met.
    weight = posed.shortest / posed.lengths
    y, converged = ball_multipliers(
        BallProblem(
            matrix=ops.where(posed.present[:, None], radius * rows, 0 * rows),
            constant=ops.where(posed.present, ops.matmul(rows, mean), 1.0),
            weight=ops.where(posed.present, weight, zeros),
        ),
        start=1 / (weight * weight.shape[0]),
    )
    weights = ops.where(posed.present, y * weight, zeros)
    return solution(in_simplex(weights), converged, posed)
