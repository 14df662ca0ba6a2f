"""Gradients of pure functions of the weights.

Every function takes θ as explicit tensors and leaves all variables alone.
An entry of a gradient is `None` where the function does not depend on that
tensor, as in TensorFlow.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._rows import scale_of
from keras_selfaux._types import Tensor
from keras_selfaux.distribution import num_replicas

# TensorFlow has declared their gradients not differentiable: tangents end
# there without a word.
_WITHOUT_JVP = frozenset(["ResizeBilinear"])


def value_and_gradient(
    function: Callable[[Sequence[Tensor]], tuple[Tensor, Any]],
    theta: Sequence[Tensor],
    size: Tensor | None = None,
) -> tuple[Any, list[Tensor | None]]:
    """Evaluates a function and differentiates it backwards.

    Args:
        function: Maps θ to a scalar and anything else of interest.
        theta: The tensors to differentiate by.
        size: The number of samples that it is a function of, if a replica
            may have none of them.

    Returns:
        What else the function returned, and the gradient of the scalar.
    """
    theta = list(theta)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(theta)
        scalar, auxiliary = function(theta)
    return auxiliary, _without_samples(tape.gradient(scalar, theta), size)


class Recording:
    """Differentiates what is computed within it, as often as asked.

    Args:
        theta: The tensors to differentiate by, beside what comes of them.
        size: As for `value_and_gradient`.
    """

    def __init__(
        self, theta: Sequence[Tensor], size: Tensor | None = None
    ) -> None:
        self._theta = list(theta)
        self._size = size
        self._tape = tf.GradientTape(
            persistent=True, watch_accessed_variables=False
        )

    def __enter__(self) -> "Recording":
        self._tape.__enter__()
        self._tape.watch(self._theta)
        return self

    def __exit__(self, *problem: Any) -> None:
        self._tape.__exit__(*problem)

    def gradient(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        upstream: Tensor | None = None,
    ) -> list[Tensor | None]:
        """Differentiates backwards.

        Args:
            target: A tensor.
            sources: The tensors to differentiate by.
            upstream: What to multiply the target by, entry by entry, before
                it is summed. Defaults to 1.
        """
        gradient: list[Tensor | None] = self._tape.gradient(
            target, list(sources), output_gradients=upstream
        )
        dense = [
            None if g is None else tf.convert_to_tensor(g) for g in gradient
        ]
        return _without_samples(dense, self._size)

    def jacobian(
        self, target: Tensor, sources: Sequence[Tensor]
    ) -> list[Tensor]:
        """Differentiates each of K entries.

        Args:
            target: Tensor of shape `(K,)`.
            sources: The tensors to differentiate by.

        Returns:
            A tensor of shape `(K, ...)` for each source; 0 where an entry
            does not depend on it.
        """

        def gradient(upstream: Tensor) -> list[Tensor]:
            found = self._tape.gradient(
                target,
                list(sources),
                output_gradients=upstream,
                unconnected_gradients="zero",
            )
            return [tf.convert_to_tensor(g) for g in found]

        # A loop in the graph: the backward pass is compiled once, not K times.
        rows: list[Tensor] = tf.map_fn(
            gradient,
            tf.eye(target.shape[0], dtype=target.dtype),
            fn_output_signature=[source.dtype for source in sources],
        )
        return _without_samples(rows, self._size)


def _without_samples(gradient: list[Any], size: Tensor | None) -> list[Any]:
    """Sets to 0 what is no number for lack of samples on this replica.

    Normalisation divides by the number of samples; of slices there are none.
    """
    if size is None or num_replicas() == 1:
        return gradient
    has_none = tf.equal(size, 0)

    def spared(g: Any) -> Any:
        if g is None or isinstance(g, tf.IndexedSlices):
            return g
        nowhere = tf.logical_and(has_none, ~tf.math.is_finite(g))
        return tf.where(nowhere, tf.zeros_like(g), g)

    return [spared(g) for g in gradient]


def directional_derivative(
    function: Callable[[Sequence[Tensor]], Tensor],
    theta: Sequence[Tensor],
    direction: Sequence[Tensor | None],
    *,
    rescale: bool = False,
) -> Tensor:
    """Returns the derivative of a vector function along a direction.

    One forward-mode product (JVP) gives it for all entries at once.

    Args:
        function: Maps θ to a tensor.
        theta: Where to differentiate.
        direction: One tensor per entry of `theta`; `None` means 0.
        rescale: Whether to go along a direction of about length 1. Layers
            in float16 would round a short one to 0 and let a long one
            overflow. Defaults to `False`.

    Returns:
        `<∇f_i(θ), direction>` for every i, shaped as `f(θ)`.

    Raises:
        ValueError: If an operation of `function` has no such derivative.
    """
    # Copies: inside a `tf.cond` the accumulator cannot see captured tensors.
    theta = [tf.identity(tensor) for tensor in theta]
    moving = [i for i, d in enumerate(direction) if d is not None]
    tangents = [tf.convert_to_tensor(direction[i]) for i in moving]
    # A power of two rounds nothing.
    length = scale_of(tangents) if rescale and tangents else tf.ones(())
    if rescale:
        tangents = [t / tf.cast(length, t.dtype) for t in tangents]
    already = _operations()
    with tf.autodiff.ForwardAccumulator(
        primals=[theta[i] for i in moving], tangents=tangents
    ) as accumulator:
        values = function(theta)
    for operation in _operations()[len(already) :]:
        if operation.type in _WITHOUT_JVP:
            raise error(
                "This model contains an operation without a forward-mode "
                "derivative, which a weighting with `meta_data` needs.",
                received=f"{operation.type} ({operation.name})",
                remedy="Use `keras_selfaux.layers.BilinearUpsampling` instead "
                "of bilinear resizing.",
            )
    slopes = accumulator.jvp(values, unconnected_gradients="zero")
    return slopes * tf.cast(length, slopes.dtype) if rescale else slopes


def _operations() -> list[Any]:
    """Returns the operations of the graph that is being built, if any."""
    if tf.executing_eagerly():
        return []
    operations: list[Any] = tf.compat.v1.get_default_graph().get_operations()
    return operations


def mapped(
    function: Callable[[list[Tensor]], Tensor], tensors: Sequence[Tensor]
) -> Tensor:
    """Applies a function to one slice of tensors after the other.

    Args:
        function: Maps tensors of shapes `(...)` to a float32 tensor.
        tensors: Tensors of shapes `(K, ...)`.

    Returns:
        The K results, stacked.
    """
    # A loop in the graph: the function is compiled once, not K times. Where
    # it runs eagerly, TensorFlow would rewrite it for a graph all the same.
    return tf.map_fn(
        tf.autograph.experimental.do_not_convert(function),
        list(tensors),
        fn_output_signature=tf.float32,
    )


def recomputed(
    function: Callable[[Sequence[Tensor]], list[Tensor]],
    tensors: Sequence[Tensor],
) -> list[Tensor]:
    """Evaluates a function now, and once more for its gradient.

    Nothing of the first evaluation is kept for the gradient, other than the
    tensors that it starts from.

    Args:
        function: Maps tensors to tensors; it must read no variables.
        tensors: Where to evaluate it, and what to differentiate by.
    """

    @tf.custom_gradient
    def run(*tensors: Tensor) -> Any:
        def gradient(*upstream: Tensor) -> list[Tensor | None]:
            # Not before the gradient is here, nor merged with the first time.
            with tf.control_dependencies(upstream):
                again = [tf.identity(tensor) for tensor in tensors]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(again)
                results = function(again)
            reached = [i for i, r in enumerate(results) if r.dtype.is_floating]
            gradients: list[Tensor | None] = tape.gradient(
                [results[i] for i in reached],
                again,
                output_gradients=[upstream[i] for i in reached],
                unconnected_gradients="zero",
            )
            return gradients

        return function(tensors), gradient

    results: list[Tensor] = list(run(*tensors))
    return results


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


def all_finite(tensors: Sequence[Tensor | None]) -> Tensor:
    """Says whether no entry of any tensor is infinite or NaN."""
    # Those that come in slices are not spread out for it.
    present = [
        tensor.values if isinstance(tensor, tf.IndexedSlices) else tensor
        for tensor in tensors
        if tensor is not None
    ]
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in present]
    )


def infinite_where(
    condition: Tensor, gradient: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Makes a gradient infinite where a condition holds.

    Keras's `LossScaleOptimizer` then skips the step. It asks one replica
    alone, and would sum up what has overflowed on the others.

    Args:
        condition: Bool scalar, the same on every replica.
        gradient: One entry per variable.
    """
    return [
        None
        if g is None
        else tf.where(condition, tf.cast(math.inf, g.dtype), g)
        for g in gradient
    ]


def dense(
    gradient: Sequence[Tensor | None], where: Sequence[bool]
) -> list[Tensor | None]:
    """Adds up the slices of a gradient that came in slices.

    Optimizers square every slice for itself, which is wrong where several
    slices are of one row.

    Args:
        gradient: One entry per variable.
        where: Whether to do so, for each entry.
    """
    return [
        tf.convert_to_tensor(g) if is_dense and g is not None else g
        for g, is_dense in zip(gradient, where, strict=True)
    ]


def run_if(
    condition: Tensor,
    function: Callable[[], Tensor | None],
    otherwise: Tensor | None = None,
) -> Tensor | None:
    """Runs a function for its effects where the condition holds.

    Args:
        condition: Bool scalar.
        function: What to run.
        otherwise: What to return where the condition does not hold; then
            the function must return a tensor like it. Defaults to nothing.
    """

    def branch() -> Tensor:
        found = function()
        return tf.constant(True) if otherwise is None else found

    found = tf.cond(
        condition,
        branch,
        lambda: tf.constant(False) if otherwise is None else otherwise,
    )
    return None if otherwise is None else found
