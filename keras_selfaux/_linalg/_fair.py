"""Weights at which every gradient gains as much as its weight allows."""

from typing import Any

import numpy as np
from keras import ops

from keras_selfaux._linalg._inverse import inverse
from keras_selfaux._linalg._scaling import SHORTEST, Problem, problem
from keras_selfaux._linalg._solution import Solution, solution
from keras_selfaux._types import Tensor

_STEPS = 60
_RESIDUAL = 1e-8
_EPSILON = float(np.finfo("float32").eps)
# Lengths of a step that the line search chooses from, and how much of the
# slope may come back with the other sign.
_LENGTHS = tuple(2.0**k for k in range(3, -9, -1))
_OVERSHOOT = 0.3


def fair_weights(gramian: Tensor, present: Tensor, alpha: float) -> Solution:
    """Returns the positive w that solves `Mw = w^(-1/alpha)`.

    Nash-MTL is `alpha = 1`; FairGrad has any. By lengths d and cosines C,
    with `y = d w`, the equation is `Cy = p y^(-1/alpha)` with
    `p = d^(1/alpha - 1)`. Its left side minus its right is the gradient of
    a convex function, which Newton's method with a line search minimises.

    Args:
        gramian: float32, `(K, K)`: M.
        present: bool, `(K,)`.
        alpha: A positive number.

    Returns:
        The weights, float32, `(K,)`, 0 where absent. Not converged where
        there are none, because a combination with nonnegative weights
        vanishes, or would if not for rounding to float32.
    """
    posed = problem(gramian, present)
    power = 1 / alpha
    factors = posed.lengths ** (power - 1)
    # Each row alone, which is where its cosine with the others is 0.
    start = factors ** (1 / (1 + power))

    def body(i: Tensor, y: Tensor, active: Tensor) -> tuple[Tensor, ...]:
        new = _step(posed.cosines, factors, power, y)
        is_fine = ops.all(ops.isfinite(new))
        y = ops.where(is_fine, new, y)
        is_done, is_noise = _state(posed, factors, power, y)
        return i + 1, y, is_fine & ~is_done & ~is_noise

    _, y, _ = ops.while_loop(
        lambda i, y, active: active,
        body,
        (ops.zeros((), dtype="int32"), start, ops.any(posed.present)),
        maximum_iterations=_STEPS,
    )
    is_done, is_noise = _state(posed, factors, power, y)
    # M = scale * M' has the weights of M' times scale^(-1 / (1 + power)).
    value = y / posed.lengths * posed.scale ** (-1 / (1 + power))
    is_short = ops.any(posed.lengths <= SHORTEST)
    return solution(value, is_done & ~is_noise & ~is_short, posed)


def _state(
    posed: Problem, factors: Tensor, power: float, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Says whether y solves the equation, and whether rounding decides it."""
    right = factors * y**-power
    error = ops.abs(_matvec(posed.cosines, y) / right - 1)
    noise = _EPSILON * ops.sum(ops.where(posed.present, y, 0 * y)) / right
    noise = ops.where(posed.present, noise, ops.zeros_like(noise))
    return ops.all(error <= _RESIDUAL), ops.any(noise >= 1)


def _step(cosines: Tensor, factors: Tensor, power: float, y: Tensor) -> Any:
    """Returns y after one step of Newton's method."""
    gradient = _matvec(cosines, y) - factors * y**-power
    identity = ops.eye(cosines.shape[0], dtype="float64")
    curvature = power * factors * y ** (-power - 1)
    direction = -_matvec(inverse(cosines + curvature * identity), gradient)
    # The slope at several lengths at once. It grows with the length: take the
    # longest step at which the minimum is not far behind.
    lengths = ops.cast(ops.convert_to_tensor(_LENGTHS), "float64")
    points = y + lengths[:, None] * direction
    is_inside = ops.all(points > 0.01 * y, axis=-1)
    points = ops.where(is_inside[:, None], points, y)
    gradients = ops.matmul(points, cosines) - factors * points**-power
    slopes = ops.sum(gradients * direction, axis=-1)
    limit = _OVERSHOOT * ops.abs(ops.sum(gradient * direction))
    allowed = ops.where(is_inside & (slopes <= limit), lengths, 0 * lengths)
    length = ops.maximum(ops.max(allowed), _LENGTHS[-1])
    new = y + length * direction
    return ops.maximum(new, 0.01 * y)


def _matvec(matrix: Tensor, vector: Tensor) -> Tensor:
    return ops.sum(matrix * vector, axis=-1)
