"""Models that are exported in tests, with weights that are never zero."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_selfaux
from keras_selfaux.architectures import compact_stages
from keras_selfaux.layers import BilinearUpsampling
from tests.integration.models import make_model

SIZE = (16, 24)
OUTPUTS = {"seg": 4, "depth": 1}


def fill(model: keras.Model) -> Any:
    """Returns the model with random weights and statistics."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(0, 0.3, weight.shape)
        # Variances must be positive.
        is_variance = "variance" in weight.path
        weight.assign(np.abs(values) + 0.5 if is_variance else values)
    return model


def dense_model() -> keras_selfaux.SelfAuxModel:
    """Three tasks `a`, `b` and `c` of four inputs, stacked, all clones."""
    return fill(make_model())


def conv_model() -> keras_selfaux.SelfAuxModel:
    """Images of `SIZE`, batch normalisation, tasks `seg` and `depth`."""
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder(compact_stages(4, (1,))),
        {
            task: keras.Sequential(
                [
                    keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                    keras.layers.Conv2D(number, 1),
                    BilinearUpsampling(4),
                ]
            )
            for task, number in OUTPUTS.items()
        },
    )
    model.build((None, *SIZE, 3))
    return fill(model)


def images(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.uniform(size=(count, *SIZE, 3)).astype("float32")


def features(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 4)).astype("float32")


def named_inputs_model() -> keras.Model:
    """A dict of two inputs, one of which one task does not need."""
    sizes = {"right": 2, "left": 3}
    right, left = (keras.Input((n,), name=name) for name, n in sizes.items())
    both = keras.layers.Concatenate()([left, right])
    return fill(
        keras.Model(
            {"right": right, "left": left},
            {
                "both parts": keras.layers.Dense(2)(both),
                "1/left": keras.layers.Dense(1)(left),
            },
        )
    )


def listed_inputs_model() -> keras.Model:
    """A list of two inputs, one with a name, whose order matters."""
    inputs = [keras.Input((2,), name="zero"), keras.Input((2,))]
    return keras.Model(inputs, {"t": keras.layers.Subtract()(inputs)})


def predictions(model: Any, x: Any) -> dict[str, np.ndarray]:
    answers = model(x, training=False)
    return {task: np.array(value) for task, value in answers.items()}


def in_policy(policy: str, make: Callable[[], Any]) -> Any:
    keras.config.set_dtype_policy(policy)
    model = make()
    keras.config.set_dtype_policy("float32")
    return model
