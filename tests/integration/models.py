"""Small models and data that the integration tests share."""

from typing import Any

import keras
import numpy as np

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder

TASKS = ["a", "b", "c"]
LEARNING_RATE = 0.05


def make_data(count: int = 24, *, missing: bool = True) -> tuple[Any, Any]:
    """Returns inputs and labels, two thirds of them missing if asked."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4)).astype("float32")
    y = {t: rng.normal(size=(count, 2)).astype("float32") for t in TASKS}
    if missing:
        for index, task in enumerate(TASKS):
            y[task][np.arange(count) % len(TASKS) != index] = np.nan
    return x, y


def make_model(
    auxiliaries: Any = "all",
    *,
    stack: bool = True,
    dropout: float = 0.0,
    batch_norm: bool = False,
    paths: Any = 1,
) -> keras_selfaux.SelfAuxModel:
    """Returns a built model: a shared layer, a branch and a head per task."""
    branch = [keras.layers.Dense(5, "tanh"), keras.layers.Dropout(dropout)]
    if batch_norm:
        branch.append(keras.layers.BatchNormalization())
    stages = [keras.layers.Dense(6, "tanh"), keras.Sequential(branch)]
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder(stages, paths, stack=stack),
        {task: keras.layers.Dense(2) for task in TASKS},
        auxiliaries,
        stack=stack,
    )
    model.build((None, 4))
    return model


def compile_model(
    model: keras.Model, optimizer: Any = None, **arguments: Any
) -> None:
    """Compiles with SGD and mean squared error unless told otherwise."""
    optimizer = optimizer or keras.optimizers.SGD(LEARNING_RATE)
    model.compile(optimizer, loss=dict.fromkeys(TASKS, "mse"), **arguments)


def copy_weights(source: Any, target: Any) -> None:
    """Copies all weights between models that differ in stacking only."""
    for one, other in zip(
        source.encoder.stage_stacks, target.encoder.stage_stacks, strict=True
    ):
        for module in range(one.count):
            other.set_module_weights(module, one.module_weights(module))
    graph = source.transfer_graph
    for edge in (*graph.primaries, *graph.edges):
        weights = source.head_bank.edge_weights(edge)
        target.head_bank.set_edge_weights(edge, weights)


def weights_of(model: Any) -> dict[Any, list[np.ndarray]]:
    """Returns all weights by module and edge, however they are stored."""
    weights = {}
    for stage, stack in enumerate(model.encoder.stage_stacks):
        for module in range(stack.count):
            weights[stage, module] = stack.module_weights(module)
    graph = model.transfer_graph
    for edge in (*graph.primaries, *graph.edges):
        weights[edge] = model.head_bank.edge_weights(edge)
    return weights


def assert_same_weights(one: Any, other: Any, tolerance: float) -> None:
    """Asserts that two models have the same weights, clones included."""
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    for key, values in first.items():
        for value, wanted in zip(values, second[key], strict=True):
            np.testing.assert_allclose(
                value, wanted, atol=tolerance, rtol=tolerance, err_msg=str(key)
            )
