"""Which entries of which variables the losses of several tasks reach."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux._stacking._layer_stack import call_layer
from keras_selfaux._types import Task, Tensor
from keras_selfaux.graph import TransferGraph
from keras_selfaux.layers import BranchedEncoder


def shared_entries(
    model: Any, graph: TransferGraph | None = None
) -> list[bool | np.ndarray]:
    """Says what the losses on two or more tasks' labels reach.

    A head or clone is reached by the labels of its source alone. What leads
    to a target's features is reached by the labels of the target and of
    all sources that have a clone there.

    Args:
        model: The `SelfAuxModel`, built.
        graph: Which clones count. Defaults to the model's own; an empty
            graph asks what the primaries' losses alone reach.

    Returns:
        For each of `model.trainable_variables`, whether it is shared; for
        stacked layers of a `BranchedEncoder` that are shared in part, a
        bool array of one entry per copy. A `BranchedEncoder` within another
        encoder is seen from outside: its stacked layers are shared as a
        whole.
    """
    graph = model.transfer_graph if graph is None else graph
    if isinstance(model.encoder, BranchedEncoder):
        shared = dict(_in_branched_encoder(model.encoder, graph))
    else:
        shared = dict(_in_any_encoder(model, graph))
    return [shared.get(id(v), False) for v in model.trainable_variables]


def _in_branched_encoder(
    encoder: BranchedEncoder, graph: TransferGraph
) -> Iterator[tuple[int, bool | np.ndarray]]:
    stages = zip(encoder.stage_stacks, encoder.tasks_by_module(), strict=True)
    for stack, users in stages:
        by_module = np.array([_is_shared(targets, graph) for targets in users])
        if not stack.stacked:
            for part, is_shared in zip(stack.parts, by_module, strict=True):
                for variable in part.trainable_variables:
                    yield id(variable), bool(is_shared)
            continue
        alike = by_module.all() or not by_module.any()
        for variable in stack.trainable_variables:
            yield id(variable), bool(by_module[0]) if alike else by_module


def _is_shared(targets: Sequence[Task], graph: TransferGraph) -> bool:
    sources = {source for source, target in graph.edges if target in targets}
    return len(sources.union(targets)) > 1


def _in_any_encoder(
    model: Any, graph: TransferGraph
) -> Iterator[tuple[int, bool]]:
    """Follows the graph of operations from features back to variables."""
    variables = model.encoder.trainable_variables

    def features(theta: Sequence[Tensor], inputs: Any) -> list[Tensor]:
        mapping = list(zip(variables, theta, strict=True))
        with keras.StatelessScope(mapping):
            found = call_layer(model.encoder, inputs, True)
        return [found[task] for task in graph.tasks]

    concrete = tf.function(features, autograph=False).get_concrete_function(
        [tf.TensorSpec(v.shape, v.value.dtype) for v in variables],
        keras.tree.map_structure(
            lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype),
            model.symbolic_inputs(),
        ),
    )
    theta = concrete.inputs[: len(variables)]
    outputs = concrete.graph.outputs
    targets: list[list[Task]] = [[] for _ in variables]
    for task, output in zip(graph.tasks, outputs, strict=True):
        reached = _ancestors(output)
        for place, tensor in zip(targets, theta, strict=True):
            if id(tensor.op) in reached:
                place.append(task)
    for variable, users in zip(variables, targets, strict=True):
        yield id(variable), _is_shared(users, graph)


def _ancestors(tensor: Any) -> set[int]:
    """Returns the ids of the operations that a gradient can reach."""
    found: set[int] = set()
    pending = [tensor.op]
    while pending:
        operation = pending.pop()
        if id(operation) in found or operation.type == "StopGradient":
            continue
        found.add(id(operation))
        pending.extend(source.op for source in operation.inputs)
    return found
