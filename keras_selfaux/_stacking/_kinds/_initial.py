"""Initial values of stacked weights: those of N separate layers."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._types import Layer, Shape, Tensor

_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
)

# What they draw for an entry does not depend on the shape around it.
_ELEMENTWISE = (
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
)

# What they draw depends on the shape by its fans alone.
_BY_FANS = (
    keras.initializers.GlorotNormal,
    keras.initializers.GlorotUniform,
    keras.initializers.HeNormal,
    keras.initializers.HeUniform,
    keras.initializers.LecunNormal,
    keras.initializers.LecunUniform,
    keras.initializers.VarianceScaling,
)


def initial_values(
    own: Any, given: Sequence[Any], *, first_index: int, seeded: bool
) -> Callable[..., Tensor]:
    """Returns what gives the initial value of a stacked weight.

    Args:
        own: The layer's own initializer of this weight.
        given: Per copy, the value to start from, or `None`.
        first_index: Number of the first copy; an explicit seed is shifted
            by a copy's number.
        seeded: Whether the seed is explicit.
    """
    seed = getattr(own, "seed", None)

    def draw(module: int, shape: Shape, dtype: str | None) -> Tensor:
        if type(seed) is int:  # it would give the same at every call
            own.seed = seed + first_index + module
        return ops.convert_to_tensor(own(shape, dtype=dtype))

    def initialize(shape: Shape, dtype: str | None = None) -> Tensor:
        if all(value is None for value in given):
            if type(own) in _CONSTANT:
                value = draw(0, shape[1:], dtype)
                return ops.broadcast_to(value[None], shape)
            if not seeded and type(own) in (*_ELEMENTWISE, *_BY_FANS):
                return _for_stack(own, len(shape) - 1)(shape, dtype=dtype)
        return ops.stack(
            [
                draw(module, shape[1:], dtype)
                if value is None
                else ops.cast(value, dtype)
                for module, value in enumerate(given)
            ]
        )

    return initialize


def is_seeded(layer: Layer, name: str) -> bool:
    """Says whether a layer's initializer of a weight has an explicit seed.

    The config tells; the initializer itself always has a seed. What does
    not say that it has none is taken to have one.
    """
    config = layer.get_config().get(f"{name}_initializer")
    inner = config.get("config") if isinstance(config, dict) else None
    return not isinstance(inner, dict) or inner.get("seed", 0) is not None


def _for_stack(own: Any, rank: int) -> Any:
    """Returns an initializer that draws for N modules of a rank at once."""
    if type(own) in _ELEMENTWISE:
        return own
    inputs, outputs = own.input_axes, own.output_axes
    if inputs is None or outputs is None:
        # Keras's rule: a kernel of shape (..., inputs, outputs).
        inputs = outputs = [*range(rank)]
        if rank > 1:
            inputs, outputs = inputs[:-1], [*outputs[:-2], rank - 1]
    return keras.initializers.VarianceScaling(
        scale=own.scale,
        mode=own.mode,
        distribution=own.distribution,
        seed=own.seed,
        input_axes=_shifted(inputs),
        output_axes=_shifted(outputs),
    )


def _shifted(axes: Sequence[int]) -> list[int]:
    return [axis + 1 if axis >= 0 else axis for axis in axes]
