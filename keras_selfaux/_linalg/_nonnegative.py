"""Quadratic programs whose only constraint is x >= 0."""

from keras import ops

from keras_selfaux._linalg._inverse import inverse
from keras_selfaux._types import Tensor

_STEPS = 50
_GAP = 1e-13
_RESIDUAL = 1e-9
# A step stops short of the bounds by the fraction that is missing to 1.
_FRACTION = 0.99


def nonnegative_minimum(
    matrix: Tensor, linear: Tensor
) -> tuple[Tensor, Tensor]:
    """Minimises `x'Hx / 2 + g'x` subject to `x >= 0`, for several g at once.

    A primal-dual interior-point method, with Mehrotra's predictor and
    corrector, for the conditions `s = Hx + g`, `x >= 0`, `s >= 0`,
    `x_i s_i = 0`. It takes about 8 steps.

    Args:
        matrix: float64, `(K, K)`: H, positive definite, with entries of
            about 1.
        linear: float64, `(B, K)`: one g per problem, with entries of about 1.

    Returns:
        x, float64, `(B, K)`, and whether each problem converged, `(B,)`.
    """

    def residuals(x: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        infeasible = ops.matmul(x, matrix) + linear - s
        gap = ops.sum(x * s, axis=-1)
        size = 1 + ops.abs(ops.sum(linear * x, axis=-1))
        largest = 1 + ops.max(x, axis=-1)
        is_done = (gap <= _GAP * size) & (
            ops.max(ops.abs(infeasible), axis=-1) <= _RESIDUAL * largest
        )
        return infeasible, gap, is_done

    def step(
        i: Tensor, x: Tensor, s: Tensor, active: Tensor
    ) -> tuple[Tensor, ...]:
        infeasible, gap, _ = residuals(x, s)
        dx, ds, length = _direction(matrix, x, s, infeasible, gap)
        length = ops.where(active, length, ops.zeros_like(length))[:, None]
        new_x, new_s = x + length * dx, s + length * ds
        is_fine = ops.all(ops.isfinite(new_x + new_s), axis=-1)[:, None]
        x, s = ops.where(is_fine, new_x, x), ops.where(is_fine, new_s, s)
        _, _, is_done = residuals(x, s)
        return i + 1, x, s, active & is_fine[:, 0] & ~is_done

    x = ops.ones_like(linear)
    s = ops.maximum(ops.matmul(x, matrix) + linear, 1.0)
    active = ops.ones(linear.shape[:1], dtype="bool")
    _, x, s, _ = ops.while_loop(
        lambda i, x, s, active: ops.any(active),
        step,
        (ops.zeros((), dtype="int32"), x, s, active),
        maximum_iterations=_STEPS,
    )
    _, _, is_done = residuals(x, s)
    return x, is_done


def _direction(
    matrix: Tensor, x: Tensor, s: Tensor, infeasible: Tensor, gap: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns where to go from `(x, s)`, and how far."""
    identity = ops.eye(matrix.shape[0], dtype="float64")
    inverted = inverse(matrix + (s / x)[:, :, None] * identity)
    mean = gap / matrix.shape[0]

    def towards(product: Tensor) -> tuple[Tensor, Tensor]:
        """Newton's step to `x_i s_i` less by `product`, and feasible."""
        right = -infeasible - product / x
        dx = ops.sum(inverted * right[:, None, :], axis=-1)
        return dx, -(product + s * dx) / x

    dx, ds = towards(x * s)
    length = ops.minimum(room(x, dx, s, ds), 1.0)[:, None]
    predicted = ops.mean((x + length * dx) * (s + length * ds), axis=-1)
    # Not below the tolerance: going on from there only loses digits.
    target = ops.maximum(mean * centring(predicted / mean), _GAP / 100)
    dx, ds = towards(x * s + dx * ds - target[:, None])
    return dx, ds, ops.minimum(_FRACTION * room(x, dx, s, ds), 1.0)


def centring(predicted: Tensor) -> Tensor:
    """Returns Mehrotra's choice: the cube of what a pure Newton step leaves.

    Args:
        predicted: The mean product after that step, relative to now.
    """
    return ops.clip(predicted, 0.0, 1.0) ** 3


def room(*values_and_steps: Tensor) -> Tensor:
    """Returns how many steps fit until the first positive value reaches 0.

    Args:
        *values_and_steps: Values and their steps in turn, each `(B, K)`.

    Returns:
        `(B,)`.
    """
    rates = [
        ops.max(-step / value, axis=-1)
        for value, step in zip(
            values_and_steps[::2], values_and_steps[1::2], strict=True
        )
    ]
    rate = rates[0]
    for other in rates[1:]:
        rate = ops.maximum(rate, other)
    return 1 / ops.maximum(rate, 1e-9)
