"""`plain_model`: the Keras model that every export starts from."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._types import Layer, Task
from keras_selfaux.distribution import check_outside_of_scope
from keras_selfaux.export._content import PRODUCTS
from keras_selfaux.model import SelfAuxModel


def plain_model(
    model: keras.Model, tasks: Iterable[Task] | None = None
) -> keras.Model:
    """Returns a functional Keras model of the primaries of some tasks.

    Args:
        model: A `SelfAuxModel` that has been built, or a functional Keras model
            whose output is a dict `{task: tensor}`.
        tasks: The tasks to keep, in the order of the outputs; layers that no
            other task needs stay behind. Defaults to `None`: all.

    Returns:
        A model from the inputs of `model`, all of them, to
        `{task: prediction}`. That of a `SelfAuxModel` has a snapshot of its
        weights; that of a functional model shares them.

    Raises:
        ValueError: If `model` is neither of the two or has not been built,
            `tasks` is not one or more of its tasks, each once, or a layer
            that these tasks need cannot be parted from what others need; or
            within the scope of a strategy.
    """
    check_outside_of_scope()
    plain = model.inference_model if isinstance(model, SelfAuxModel) else model
    _check_functional(plain)
    if tasks is None:
        return plain
    if isinstance(tasks, Iterable) and not isinstance(tasks, str):
        tasks = list(tasks)
    _check_tasks(tasks, list(plain.output))
    kept = keras.Model(
        plain.input,
        {task: plain.output[task] for task in tasks},
        name=plain.name,
    )
    _check_separable(kept, plain, tasks)
    return kept


def _check_functional(model: Any) -> None:
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        received = f"{type(model).__name__}"
    elif not isinstance(outputs := model.output, dict) or not outputs:
        received = f"outputs {type(outputs).__name__}"
    elif nested := [
        name
        for name, tensor in outputs.items()
        if not isinstance(name, str) or keras.tree.is_nested(tensor)
    ]:
        received = f"outputs of which {nested} are not one tensor by name"
    else:
        return
    raise error(
        "`model` must be a `SelfAuxModel`, or a functional Keras model with a "
        "dict of outputs, one tensor per task.",
        received=received,
        remedy="Give the model a dict output: "
        "`keras.Model(inputs, {task: tensor})`.",
    )


def _check_tasks(tasks: Any, known: list[Task]) -> None:
    if (
        isinstance(tasks, Sequence)
        and not isinstance(tasks, str)
        and all(isinstance(task, str) for task in tasks)
        and 0 < len(tasks) == len(set(tasks))
        and set(tasks) <= set(known)
    ):
        return
    raise error(
        f"`tasks` must be one or more of {known}, and each once.",
        received=f"tasks={tasks!r}",
        remedy="Pass a list of these tasks, or leave `tasks` out.",
    )


def _check_separable(
    kept: keras.Model, plain: keras.Model, tasks: Sequence[Task]
) -> None:
    """Raises if `kept` still computes what none of its tasks needs."""
    # Keras leaves out layers that are not needed. What a layer computes for
    # others it takes along, and only a layer with several outputs can.
    suspects = [
        layer
        for layer in kept.layers
        if layer.weights and len(keras.tree.flatten(layer.output)) > 1
    ]
    if not suspects:
        return
    alone, together = _needs(kept), _needs(plain)
    for layer in suspects:
        left_over = [
            weight.path
            for weight in layer.weights
            if id(weight) in together.weights - alone.weights
        ]
        if left_over or alone.idle_products > together.idle_products:
            raise error(
                f"`tasks` cannot be parted from the others: layer "
                f"{layer.name!r} is one operation that computes them together.",
                received=f"tasks={list(tasks)!r}, and {len(left_over)} "
                f"weights that only others need: {left_over[:3]}",
                remedy="Make the encoder a functional model or a "
                "`layers.BranchedEncoder`, or leave `tasks` out.",
            )


class _Needs(NamedTuple):
    """What predictions are computed from.

    Attributes:
        weights: The weights, by `id`.
        idle_products: How many products no prediction needs.
    """

    weights: set[int]
    idle_products: int


def _needs(model: Layer) -> _Needs:
    """Returns what the predictions of a model are computed from."""
    function = trace(model)
    reached, waiting = set(), [tensor.op for tensor in function.outputs]
    while waiting:
        if (operation := waiting.pop()) not in reached:
            reached.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    captured = function.captured_inputs
    read = {
        id(outside)
        for outside, inside in zip(
            captured,
            function.inputs[len(function.inputs) - len(captured) :],
            strict=True,
        )
        if inside.op in reached
    }
    return _Needs(
        {id(w) for w in model.weights if id(w.value.handle) in read},
        sum(
            operation.type in PRODUCTS and operation not in reached
            for operation in function.graph.get_operations()
        ),
    )


def trace(model: keras.Model) -> Any:
    """Returns a functional model as a concrete function."""
    specs = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input
    )
    traced = tf.function(lambda x: model(x, training=False))
    return traced.get_concrete_function(specs)


def num_products(model: keras.Model) -> int:
    """Returns how many products there are in a functional model's graph."""
    graph = trace(model).graph.as_graph_def()
    functions = (function.node_def for function in graph.library.function)
    return sum(
        node.op in PRODUCTS
        for nodes in (graph.node, *functions)
        for node in nodes
    )
