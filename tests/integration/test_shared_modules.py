"""A module that several nodes run through is trained as a single layer is."""

import keras
import numpy as np
import pytest

import keras_selfaux

# The second stage joins what the first has kept apart.
PATHS = {"a": [0, 0], "b": [1, 0], "c": [2, 1]}


def trained(optimizer: keras.optimizers.Optimizer, *, stack: bool) -> list:
    keras.utils.set_random_seed(0)
    stages = [
        keras.layers.Dense(6, "tanh", kernel_initializer="ones")
        for _ in range(2)
    ]
    encoder = keras_selfaux.layers.BranchedEncoder(stages, PATHS, stack=stack)
    heads = {t: keras.layers.Dense(1, kernel_initializer="ones") for t in PATHS}
    model = keras_selfaux.SelfAuxModel(encoder, heads, "none", stack=stack)
    model.compile(optimizer, "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype("float32")
    y = {t: rng.normal(size=(8, 1)).astype("float32") for t in PATHS}
    for _ in range(3):
        model.train_on_batch(x, y)
    return [model.predict(x, verbose=0)[task] for task in PATHS]


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(0.05),
        lambda: keras.optimizers.SGD(0.5, clipvalue=0.1),
    ],
    ids=["adam", "clipped"],
)
def test_stacked_trains_like_looped(make) -> None:
    stacked, looped = (trained(make(), stack=stack) for stack in (True, False))
    np.testing.assert_allclose(stacked, looped, rtol=1e-4, atol=1e-5)
