"""`Template`: a layer that is copied by config, never run itself."""

from typing import Any

import keras
import numpy as np

from keras_selfaux._rematerialization import (
    remat_scope_of,
    support_rematerialization,
)
from keras_selfaux._types import Layer, Shape, Tensor


class Template:
    """Holds a layer to copy, without making it a part of any other layer.

    Keras tracks and saves every layer that it finds as an attribute of
    another. A template must be neither: only its copies train.

    Args:
        layer: A Keras layer or model, built or not.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def copy(self, index: int = 0, name: str | None = None) -> Layer:
        """Returns a new layer of the same config with fresh weights.

        Args:
            index: Shifts every explicit seed in the config, so that copies
                of a seeded layer differ from each other.
            name: The copy's name. Defaults to the template's.
        """
        config = config_of_copy(self.layer.get_config(), index)
        if name is not None:
            config = {**config, "name": name}
        with remat_scope_of(self.layer):
            copy = type(self.layer).from_config(config)
        support_rematerialization(copy)
        return copy

    @property
    def initial_weights(self) -> list[np.ndarray] | None:
        """The template's own weights if it was built, else `None`."""
        if not self.layer.built or not self.layer.weights:
            return None
        weights: list[np.ndarray] = self.layer.get_weights()
        return weights

    @property
    def key(self) -> str:
        """A text that is equal for layers that differ in name only."""
        config = keras.saving.serialize_keras_object(self.layer)
        return repr(without_names(config))

    def serialize(self) -> dict[str, Any]:
        """Returns the layer's config in Keras's serialised form."""
        config: dict[str, Any] = keras.saving.serialize_keras_object(self.layer)
        return config


def config_of_copy(config: Any, index: int) -> Any:
    """Returns a config that makes an object of its own.

    Integer seeds are shifted by `index`. The ids by which Keras recognises
    shared objects while it loads a model are dropped: with them, copies
    made during loading would share their inner layers.
    """
    if isinstance(config, dict):
        return {
            key: value + index
            if key == "seed" and type(value) is int
            else config_of_copy(value, index)
            for key, value in config.items()
            if key != "shared_object_id"
        }
    if isinstance(config, (list, tuple)):
        return type(config)(config_of_copy(value, index) for value in config)
    return config


def symbolic_input(shape: Any, name: str | None = None) -> Tensor:
    """Returns `keras.Input`s for a shape, or a dict or list of shapes.

    Args:
        shape: A tuple with the batch axis, or a dict, list or tuple of such.
        name: Name of the input. Those in a dict are named by their keys.
    """
    if isinstance(shape, dict):
        return {key: symbolic_input(v, name=key) for key, v in shape.items()}
    if all(d is None or isinstance(d, int) for d in shape):
        return keras.Input(batch_shape=(None, *shape[1:]), name=name)
    return [symbolic_input(item) for item in shape]


def output_of(layer: Layer, shape: Any) -> tuple[Shape, str]:
    """Returns shape and dtype of a layer's output, building the layer."""
    output = layer(symbolic_input(shape))
    return tuple(output.shape), output.dtype


def build_inner_layers(layer: Layer, inputs: Any) -> None:
    """Builds those inner layers that only a real call of a layer reaches.

    Called on symbolic inputs, many layers just say their output's shape; one
    that is their activation, say, would get its weights in the first step of
    training, when the optimizer is built already.

    Args:
        layer: A layer that was called on `inputs`.
        inputs: Symbolic tensors.
    """
    if not all(inner.built for inner in layer._flatten_layers()):
        _Around(layer)(inputs)


class _Around(keras.layers.Layer):
    """Calls a layer, also to find out the shape of the output.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__(autocast=False)
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        """Calls the layer."""
        return self.layer(inputs)


def without_names(config: Any) -> Any:
    """Drops from a serialised layer what says who it is, not what it does."""
    if isinstance(config, (list, tuple)):
        return [without_names(value) for value in config]
    if not isinstance(config, dict):
        return config
    # A dtype policy's name is the policy.
    is_policy = str(config.get("class_name")).startswith("DTypePolicy")
    dropped = {"build_config", "shared_object_id"}
    return {
        key: value if is_policy else without_names(value)
        for key, value in config.items()
        if key not in (dropped if is_policy else {*dropped, "name"})
    }
