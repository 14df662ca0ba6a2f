"""Predicting, evaluating and exporting cost what the plain model costs.

Checked on the graphs: the operations, how many of each there are, and the
shapes that the products have. A clone that crept in would show, be it as a
product of its own or as rows of a batched one.
"""

import collections
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder

BATCH, WIDTH = 7, 5
PRODUCTS = {
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchMatMulV3",
    "Conv2D",
    "Einsum",
    "MatMul",
    "XlaDotV2",
}


class Cost(NamedTuple):
    """What a graph computes.

    Attributes:
        operations: How many there are of each type.
        products: How many products there are of operands of some shapes.
    """

    operations: collections.Counter[str]
    products: collections.Counter[tuple[Any, ...]]


def cost(graph: tf.Graph) -> Cost:
    """Returns the cost of a graph and of the functions it calls."""
    found = list(operations(graph.as_graph_def(add_shapes=True)))
    types = collections.Counter(kind for kind, _ in found)
    products = collections.Counter(
        (kind, *shapes) for kind, shapes in found if kind in PRODUCTS
    )
    return Cost(types, products)


def operations(graph: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yields all operations, with the shapes of what products are given."""
    for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
        shapes = {node.name: output_shapes(node) for node in nodes}
        for node in nodes:
            names = [name.split(":")[0] for name in node.input]
            yield node.op, tuple(shapes.get(name) for name in names)


def output_shapes(node: Any) -> tuple[Any, ...]:
    shapes = node.attr["_output_shapes"].list.shape
    return tuple(tuple(dim.size for dim in shape.dim) for shape in shapes)


def tasks_of(count: int) -> list[str]:
    return [f"task_{i}" for i in range(count)]


def make(count: int, auxiliaries: Any, stack: bool) -> Any:
    """Returns a built and compiled model."""
    tasks = tasks_of(count)
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder(
            [keras.layers.Dense(6), keras.layers.Dense(WIDTH, "tanh")],
            1,
            stack=stack,
        ),
        {task: keras.layers.Dense(2) for task in tasks},
        auxiliaries,
        stack=stack,
    )
    model.build((None, 4))
    model.compile("sgd", loss="mse", metrics=["mae"])
    return model


def batch(count: int) -> Any:
    y = np.zeros((BATCH, 2), "float32")
    return np.zeros((BATCH, 4), "float32"), dict.fromkeys(tasks_of(count), y)


def of_predict(model: Any, data: Any) -> Cost:
    return cost(traced(model.predict_step, (data[0],)))


def of_evaluate(model: Any, data: Any) -> Cost:
    model.test_on_batch(*data)  # makes the metrics
    return cost(traced(model.test_step, data))


def traced(step: Callable[..., Any], data: Any) -> tf.Graph:
    specs = tf.nest.map_structure(tf.TensorSpec.from_tensor, tensors(data))
    function = tf.function(lambda *values: step(values), autograph=False)
    return function.get_concrete_function(*specs).graph


def tensors(data: Any) -> Any:
    return tf.nest.map_structure(tf.constant, data)


@pytest.mark.parametrize(
    ("count", "stack"),
    [(2, True), (2, False), (10, True), (10, False), (30, True)],
)
@pytest.mark.parametrize("measure", [of_predict, of_evaluate])
def test_a_step_costs_the_same_with_all_clones(
    measure: Any, count: int, stack: bool
) -> None:
    data = batch(count)
    wanted = measure(make(count, "none", stack), data)
    found = measure(make(count, "all", stack), data)
    assert found == wanted
    assert found.products


def test_looped_layers_have_the_products_of_the_plain_model() -> None:
    model, data = make(3, "all", False), batch(3)
    wanted = of_predict(model.inference_model, data).products
    assert of_predict(model, data).products == wanted
    assert of_evaluate(model, data).products == wanted


def test_clones_show_in_the_cost() -> None:
    found, wanted = (
        cost(traced(make(2, auxiliaries, True).train_step, batch(2)))
        for auxiliaries in ("all", "none")
    )
    assert found.products != wanted.products


def exported(model: Any, path: pathlib.Path) -> tuple[Cost, list[Any]]:
    model.export(path, verbose=False)
    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    shapes = sorted(tuple(v.shape) for v in loaded.variables)
    return cost(function.graph), shapes


@pytest.mark.parametrize("count", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_an_export_costs_what_the_plain_model_costs(
    count: int, tmp_path: pathlib.Path
) -> None:
    model = make(count, "all", True)
    found, shapes = exported(model, tmp_path / "all")
    for name, other in (
        ("none", make(count, "none", True)),
        ("plain", model.inference_model),
    ):
        assert exported(other, tmp_path / name) == (found, shapes)
    assert found.products.total() == 1 + 2 * count
    assert len(shapes) == 2 * found.products.total()
    # Trunk; branches; heads. No clone is among them.
    assert sum(map(np.prod, shapes)) == 30 + count * (35 + 12)
