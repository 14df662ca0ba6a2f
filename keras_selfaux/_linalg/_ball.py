"""The best worst case within a ball."""

from typing import NamedTuple

from keras import ops

from keras_selfaux._linalg._inverse import inverse
from keras_selfaux._linalg._nonnegative import centring, room
from keras_selfaux._types import Tensor

_STEPS = 50
_GAP = 1e-9
_RESIDUAL = 1e-7
# Near a curved boundary a step must stop earlier than for x >= 0 alone.
_FRACTION = 0.9


class BallProblem(NamedTuple):
    """Maximises t subject to `b + Ap - a t >= 0` and `|p| <= 1`.

    Attributes:
        matrix: A, float64, `(K, R)`.
        constant: b, float64, `(K,)`.
        weight: a, float64, `(K,)`, nonnegative.
    """

    matrix: Tensor
    constant: Tensor
    weight: Tensor


class _Point(NamedTuple):
    """A point inside all bounds: primal p, t, s and dual y, multiplier.

    The slack s is `b + Ap - a t`; that of the ball is `(1 - p'p) / 2`.
    """

    p: Tensor
    t: Tensor
    s: Tensor
    y: Tensor
    multiplier: Tensor

    @property
    def slack(self) -> Tensor:
        return (1 - ops.sum(self.p * self.p)) / 2

    def moved(self, direction: "_Point", length: Tensor) -> "_Point":
        return _Point(
            *(
                value + length * step
                for value, step in zip(self, direction, strict=True)
            )
        )


class _Residuals(NamedTuple):
    """What is left of the conditions; tolerances are relative to `size`."""

    p: Tensor
    t: Tensor
    s: Tensor
    gap: Tensor
    size: Tensor


def ball_multipliers(
    posed: BallProblem, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the multipliers y of the constraints of a `BallProblem`.

    They minimise `b'y + |A'y|` subject to `y >= 0` and `a'y = 1`: the dual.
    It has no gradient where `A'y = 0`, whereas the problem itself is smooth.
    The method is primal-dual, with Mehrotra's predictor and corrector, and
    takes about 13 steps.

    Args:
        posed: The problem, with entries of about 1.
        start: float64, `(K,)`. A positive y to start from.

    Returns:
        y, float64, `(K,)`, and whether the method converged, a bool scalar.
    """

    def body(i: Tensor, active: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        point = _Point(*values)
        new = _step(posed, point)
        flat = [ops.reshape(value, (-1,)) for value in new]
        is_fine = ops.all(ops.isfinite(ops.concatenate(flat)))
        point = _Point(
            *(ops.where(is_fine, n, o) for n, o in zip(new, point, strict=True))
        )
        active = is_fine & ~_is_done(_residuals(posed, point))
        return i + 1, active, *point

    _, _, *values = ops.while_loop(
        lambda i, active, *values: active,
        body,
        (
            ops.zeros((), dtype="int32"),
            ops.ones((), dtype="bool"),
            *_inside(posed, start),
        ),
        maximum_iterations=_STEPS,
    )
    point = _Point(*values)
    return point.y, _is_done(_residuals(posed, point))


def _inside(posed: BallProblem, y: Tensor) -> _Point:
    """Returns a point that meets all conditions but complementarity."""
    along = ops.matmul(y, posed.matrix)
    multiplier = 0.5 + 1.5 * ops.sqrt(ops.sum(along * along))
    p = along / multiplier
    level = posed.constant + ops.matmul(posed.matrix, p)
    is_bound = posed.weight > 0
    ratio = level / ops.where(is_bound, posed.weight, 1.0)
    t = ops.min(ops.where(is_bound, ratio, ops.max(ops.abs(ratio)))) - 0.5
    return _Point(p, t, level - posed.weight * t, y, multiplier)


def _residuals(posed: BallProblem, point: _Point) -> _Residuals:
    p, t, s, y, multiplier = point
    return _Residuals(
        p=multiplier * p - ops.matmul(y, posed.matrix),
        t=1 - ops.sum(posed.weight * y),
        s=posed.constant + ops.matmul(posed.matrix, p) - posed.weight * t - s,
        gap=ops.sum(y * s) + multiplier * point.slack,
        size=1 + ops.abs(ops.sum(posed.constant * y)) + multiplier,
    )


def _is_done(residuals: _Residuals) -> Tensor:
    largest = ops.maximum(
        ops.max(ops.abs(residuals.p)), ops.max(ops.abs(residuals.s))
    )
    return (
        (residuals.gap <= _GAP * residuals.size)
        & (largest <= _RESIDUAL * residuals.size)
        & (ops.abs(residuals.t) <= _RESIDUAL)
    )


def _step(posed: BallProblem, point: _Point) -> _Point:
    """Returns the point after a predictor and a corrector."""
    count = posed.constant.shape[0] + 1
    residuals = _residuals(posed, point)
    inverted = inverse(_normal_matrix(posed, point))
    slack, mean = point.slack, residuals.gap / count

    def towards(
        products: Tensor, product: Tensor, curve: Tensor
    ) -> tuple[_Point, Tensor]:
        return _newton(
            posed, point, residuals, inverted, products, product, curve
        )

    none = ops.zeros_like(slack)
    direction, dslack = towards(
        point.y * point.s, point.multiplier * slack, none
    )
    length = ops.minimum(_room(point, direction, dslack), 1.0)
    moved = point.moved(direction, length)
    left = ops.sum(moved.y * moved.s)
    left = left + moved.multiplier * (slack + length * dslack)
    target = mean * centring(left / count / mean)
    # Not below the tolerance: going on from there only loses digits.
    target = ops.maximum(target, _GAP / 10 / count * residuals.size)
    direction, dslack = towards(
        point.y * point.s + direction.y * direction.s - target,
        point.multiplier * slack + direction.multiplier * dslack - target,
        -ops.sum(direction.p * direction.p) / 2,
    )
    length = ops.minimum(
        _room(point, direction, dslack), _room_in_ball(point, direction)
    )
    return point.moved(direction, ops.minimum(_FRACTION * length, 1.0))


def _normal_matrix(posed: BallProblem, point: _Point) -> Tensor:
    """Returns what is left of Newton's equations for `(dp, dt)`."""
    both = ops.concatenate([posed.matrix, -posed.weight[:, None]], axis=1)
    ratio = (point.y / point.s)[:, None]
    matrix = ops.matmul(ops.transpose(both), ratio * both)
    padded = ops.concatenate([point.p, ops.zeros_like(point.p[:1])])
    diagonal = ops.concatenate(
        [ops.ones_like(point.p), ops.zeros_like(point.p[:1])]
    )
    identity = ops.eye(padded.shape[0], dtype="float64")
    curvature = padded[:, None] * padded[None, :] / point.slack
    return matrix + point.multiplier * (curvature + diagonal * identity)


def _newton(
    posed: BallProblem,
    point: _Point,
    residuals: _Residuals,
    inverted: Tensor,
    products: Tensor,
    product: Tensor,
    curve: Tensor,
) -> tuple[_Point, Tensor]:
    """Returns Newton's step that lessens the products by as much as given.

    Args:
        posed: The problem.
        point: Where to start.
        residuals: There.
        inverted: The inverse of the normal matrix.
        products: For `y_i s_i`.
        product: For the multiplier times the slack of the ball.
        curve: What the slack of the ball changes by beyond its slope.

    Returns:
        The step, and the step of the slack of the ball.
    """
    slack, multiplier = point.slack, point.multiplier
    relaxed = (products + point.y * residuals.s) / point.s
    right = point.p * (product + multiplier * curve) / slack
    right = right - residuals.p - ops.matmul(relaxed, posed.matrix)
    last = residuals.t + ops.sum(posed.weight * relaxed)
    right = ops.concatenate([right, last[None]])
    solved = ops.sum(inverted * right, axis=-1)
    dp, dt = solved[:-1], solved[-1]
    ds = ops.matmul(posed.matrix, dp) - posed.weight * dt + residuals.s
    dy = -(products + point.y * ds) / point.s
    dslack = curve - ops.sum(point.p * dp)
    dmultiplier = -(product + multiplier * dslack) / slack
    return _Point(dp, dt, ds, dy, dmultiplier), dslack


def _room(point: _Point, direction: _Point, dslack: Tensor) -> Tensor:
    """Returns how many steps fit within the bounds of s, y and multiplier."""
    values = [point.s, point.y, point.multiplier[None], point.slack[None]]
    steps = [direction.s, direction.y, direction.multiplier[None], dslack[None]]
    return room(ops.concatenate(values)[None], ops.concatenate(steps)[None])[0]


def _room_in_ball(point: _Point, direction: _Point) -> Tensor:
    """Returns how many steps fit until `|p| = 1`: the root of a quadratic."""
    along = ops.sum(point.p * direction.p)
    square = ops.sum(direction.p * direction.p)
    missing = 2 * point.slack
    root = ops.sqrt(along * along + square * missing)
    # This form of the root loses no digits where `along` is positive.
    forward = missing / ops.maximum(along + root, 1e-300)
    backward = (root - along) / ops.maximum(square, 1e-300)
    return ops.where(along >= 0, forward, backward)
