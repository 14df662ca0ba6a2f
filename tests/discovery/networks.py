"""Small networks and data for the tests of enumeration."""

from typing import Any

import keras
import numpy as np

import keras_selfaux

TASKS = ["a", "b", "c"]


def make_data(count: int = 22, seed: int = 0) -> Any:
    """Returns inputs, and labels of which some of task "a" are missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype("float32")
    y = {}
    for task in TASKS:
        noise = 0.1 * rng.normal(size=(count, 2))
        y[task] = (x @ rng.normal(size=(4, 2)) + noise).astype("float32")
    y["a"][::3] = np.nan
    return x, y


def build_model(tasks: list[str], **settings: Any) -> Any:
    """Returns two dense stages, the first of them shared."""
    options = {
        "optimizer": keras.optimizers.Adam(0.01),
        "loss": "mse",
        "stages": None,
        "paths": "half",
        **settings,
    }
    stages = options.pop("stages") or [
        keras.layers.Dense(6, "tanh"),
        keras.layers.Dense(5, "tanh"),
    ]
    encoder = keras_selfaux.layers.BranchedEncoder(stages, options.pop("paths"))
    heads = {task: keras.layers.Dense(2) for task in tasks}
    model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
    model.compile(jit_compile=False, **options)
    return model


def build_plain(
    tasks: list[str], loss_weights: Any = None, **dense: Any
) -> keras.Model:
    """Returns an ordinary Keras model with a dict of outputs."""
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(6, "tanh", **dense)(inputs)
    outputs = {t: keras.layers.Dense(2, name=t)(shared) for t in tasks}
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        loss=dict.fromkeys(tasks, "mae"),
        loss_weights=loss_weights,
        jit_compile=False,
    )
    return model
