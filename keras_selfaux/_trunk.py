"""The one feature tensor through which all that tasks share runs."""

from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_selfaux._checks import error
from keras_selfaux._rematerialization import support_rematerialization
from keras_selfaux._stacking import NamedNodes, Nodes
from keras_selfaux._types import Layer, Tensor
from keras_selfaux.layers import BranchedEncoder


class Trunk:
    """Runs an encoder and hands out the tensor at the end of its trunk.

    Of a `BranchedEncoder` that is what its last stage shared by all tasks
    returns; of a functional model, the last tensor through which every
    path from the inputs to an output runs.

    Args:
        encoder: The encoder, built.

    Raises:
        ValueError: If there is no such tensor, or if layers before it are
            used once more behind it.
    """

    def __init__(self, encoder: Layer) -> None:
        self._encoder = encoder
        if isinstance(encoder, BranchedEncoder):
            found = encoder.num_shared > 0
        else:
            self._with_shared: Any = _with_shared_output(encoder)
            found = self._with_shared is not None
        if not found:
            raise error(
                "rows='features' needs one feature tensor through which all "
                "that tasks share runs.",
                received=f"encoder {encoder.name!r}, which has none",
                remedy="Pass a `layers.BranchedEncoder` that shares its first "
                "stages, or a functional model with a shared trunk; or use "
                "rows='parameters'.",
            )

    def __call__(
        self, inputs: Any, training: bool | None = None
    ) -> tuple[NamedNodes, Tensor]:
        """Returns the features of all tasks and the trunk's tensor."""
        if isinstance(self._encoder, BranchedEncoder):
            shared = self._encoder.trunk(inputs, training)[0]
            # An item: gradients must pass through this very tensor.
            nodes = Nodes(items=[shared])
            return self._encoder.branches(nodes, training), shared
        outputs = self._with_shared(inputs, training=training)
        return NamedNodes.from_dict(outputs["features"]), outputs["shared"]


def _with_shared_output(encoder: Layer) -> keras.Model | None:
    """Returns a functional model with the trunk's tensor as an output."""
    # A `call` of one's own is more than the graph of operations says.
    if getattr(type(encoder), "call", None) is not Functional.call:
        return None
    dominators = _dominators(encoder)
    common = set.intersection(
        *(set(dominators[id(t)]) for t in keras.tree.flatten(encoder.output))
    )
    inputs = {id(tensor) for tensor in encoder.inputs}
    # In order of computation, so that the last is the one to take.
    shared = [
        tensor
        for key, tensor in _tensors(encoder).items()
        if key in common - inputs
    ]
    if not shared:
        return None
    _check_not_used_again(encoder, shared[-1])
    outputs = {"features": encoder.output, "shared": shared[-1]}
    model = keras.Model(encoder.input, outputs, name=encoder.name)
    # Recomputing all of a network would save nothing.
    support_rematerialization(model, itself=False)
    return model


def _check_not_used_again(encoder: Layer, shared: Any) -> None:
    """Raises if a variable before the trunk's end is used behind it, too."""
    trunk = keras.Model(encoder.input, shared)
    before = {
        id(node) for nodes in trunk._nodes_by_depth.values() for node in nodes
    }
    again = [
        node.operation.name
        for nodes in encoder._nodes_by_depth.values()
        for node in nodes
        if id(node) not in before
        and {id(v) for v in getattr(node.operation, "trainable_variables", [])}
        & {id(v) for v in trunk.trainable_variables}
    ]
    if again:
        raise error(
            "rows='features' cannot tell apart what layers do in the trunk "
            "and behind it.",
            received=f"layers used in both places: {sorted(set(again))}",
            remedy="Use rows='parameters', or layers of their own.",
        )


def _tensors(encoder: Layer) -> dict[int, Any]:
    """Returns all symbolic tensors by id, what they depend on first."""
    tensors: dict[int, Any] = {}
    for depth in sorted(encoder._nodes_by_depth, reverse=True):
        for node in encoder._nodes_by_depth[depth]:
            for tensor in node.output_tensors:
                tensors[id(tensor)] = tensor
    return tensors


def _dominators(encoder: Layer) -> dict[int, set[int]]:
    """Returns for each tensor those that every path to it runs through."""
    found: dict[int, set[int]] = {}
    for depth in sorted(encoder._nodes_by_depth, reverse=True):
        for node in encoder._nodes_by_depth[depth]:
            parents = [found[id(tensor)] for tensor in node.input_tensors]
            common = set.intersection(*parents) if parents else set()
            for tensor in node.output_tensors:
                found[id(tensor)] = {id(tensor), *common}
    return found
