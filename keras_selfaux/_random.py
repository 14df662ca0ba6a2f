"""Random numbers that XLA draws quickly.

What TensorFlow chooses by itself is forty times slower under XLA on a CPU,
and Keras does not let one choose. With any algorithm, XLA makes other numbers
of a seed than TensorFlow does.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor

_ALGORITHM = "philox"


def seed_generator(seed: Any) -> Any:
    """Returns a generator of random numbers.

    Raises:
        ValueError: If `seed` is neither an integer nor `None`.
    """
    if seed is not None and (type(seed) is not int or seed < 0):
        raise error(
            "`seed` must be an integer of at least 0, or None.",
            received=f"seed={seed!r}",
            remedy="Pass an integer for the same draws every time.",
        )
    return keras.random.SeedGenerator(seed)


def load_seeds(name: str, states: Sequence[Any], store: Any) -> None:
    """Brings back the states of random generators from a file.

    Args:
        name: Whose generators they are, for messages.
        states: The variables.
        store: What a layer is given to load from.

    Raises:
        ValueError: If the file lacks one, or has one of another shape.
    """
    keys = sorted(store.keys())
    for number, state in enumerate(states):
        key = f"seed_{number}"
        found = store[key] if key in keys else None
        if tuple(getattr(found, "shape", ())) != tuple(state.shape):
            raise error(
                f"The file has no state of the random generators of {name!r}.",
                received=f"{keys}",
                remedy="Load the file of a model with as many of them.",
            )
        state.assign(found)


def uniform(shape: Sequence[int], generator: Any) -> Tensor:
    """Draws from the uniform distribution on [0, 1), float32."""
    seed = _next(generator)
    return tf.random.stateless_uniform(shape, seed, alg=_ALGORITHM)


def normal(shape: Sequence[int], generator: Any) -> Tensor:
    """Draws from the standard normal distribution, float32."""
    seed = _next(generator)
    return tf.random.stateless_normal(shape, seed, alg=_ALGORITHM)


def _next(generator: keras.random.SeedGenerator) -> Tensor:
    # TensorFlow wants signed seeds.
    return tf.cast(generator.next(), tf.int64)
