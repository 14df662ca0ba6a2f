"""Gradients of pure functions of the weights.

Every function takes θ as explicit tensors and leaves all variables alone.
An entry of a gradient is `None` where the function does not depend on that
tensor, as in TensorFlow.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_selfaux._types import Tensor


def value_and_gradient(
    function: Callable[[Sequence[Tensor]], tuple[Tensor, Any]],
    theta: Sequence[Tensor],
) -> tuple[Any, list[Tensor | None]]:
    """Evaluates a function and differentiates it backwards.

    Args:
        function: Maps θ to a scalar and anything else of interest.
        theta: The tensors to differentiate by.

    Returns:
        What else the function returned, and the gradient of the scalar.
    """
    theta = list(theta)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(theta)
        scalar, auxiliary = function(theta)
    return auxiliary, tape.gradient(scalar, theta)


def directional_derivative(
    function: Callable[[Sequence[Tensor]], Tensor],
    theta: Sequence[Tensor],
    direction: Sequence[Tensor | None],
) -> Tensor:
    """Returns the derivative of a vector function along a direction.

    One forward-mode product (JVP) gives it for all entries at once.

    Args:
        function: Maps θ to a tensor.
        theta: Where to differentiate.
        direction: One tensor per entry of `theta`; `None` means 0.

    Returns:
        `<∇f_i(θ), direction>` for every i, shaped as `f(θ)`.
    """
    # Copies: inside a `tf.cond` the accumulator cannot see captured tensors.
    theta = [tf.identity(tensor) for tensor in theta]
    moving = [i for i, d in enumerate(direction) if d is not None]
    with tf.autodiff.ForwardAccumulator(
        primals=[theta[i] for i in moving],
        tangents=[tf.convert_to_tensor(direction[i]) for i in moving],
    ) as accumulator:
        values = function(theta)
    return accumulator.jvp(values, unconnected_gradients="zero")


def descend(
    theta: Sequence[Tensor],
    gradient: Sequence[Tensor | None],
    learning_rate: Tensor,
) -> list[Tensor]:
    """Returns θ - α g: one step of plain gradient descent."""
    return [
        tensor if g is None else tensor - tf.cast(learning_rate, g.dtype) * g
        for tensor, g in zip(theta, gradient, strict=True)
    ]


def scale(
    gradient: Sequence[Tensor | None], factor: Tensor
) -> list[Tensor | None]:
    """Multiplies a gradient by a number."""
    return [
        None if g is None else g * tf.cast(factor, g.dtype) for g in gradient
    ]


def run_if(condition: Tensor, function: Callable[[], None]) -> None:
    """Runs a function for its effects where the condition holds."""

    def branch() -> Tensor:
        function()
        return tf.constant(True)

    tf.cond(condition, branch, lambda: tf.constant(False))
