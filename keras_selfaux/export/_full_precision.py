"""`in_float32`: a model of mixed precision, computing in full precision."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_selfaux._layer_state import copy_state
from keras_selfaux._types import Layer
from keras_selfaux.export._difference import PRECISIONS

_FLOAT32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))
_COARSE = ("bfloat16", "float16", "mixed_bfloat16", "mixed_float16")


def lowest_precision(model: keras.Model) -> str:
    """Returns the coarsest type of floats that a layer computes in."""
    found = {layer.compute_dtype for layer in _layers(model)}
    return next((dtype for dtype in PRECISIONS if dtype in found), "float32")


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a functional model whose layers compute in float32.

    Weights of a model of mixed precision are float32 already, and a runtime
    need not know another type.

    Args:
        model: A functional model.

    Returns:
        The model itself if it computes in float32, else a copy of it with a
        snapshot of its weights.
    """
    if lowest_precision(model) == "float32":
        return model
    classes = {type(layer).__name__: type(layer) for layer in _layers(model)}
    # Layers within layers are found by name, and need not be registered.
    with keras.saving.custom_object_scope(classes):
        copy = keras.models.clone_model(model, clone_function=_float32_copy)
    copy_state(model, copy)
    return copy


def _layers(model: keras.Model) -> Iterable[Layer]:
    layers: Iterable[Layer] = model._flatten_layers()
    return layers


def _float32_copy(layer: Layer) -> Layer:
    return type(layer).from_config(_with_float32(layer.get_config()))


def _with_float32(config: Any) -> Any:
    """Returns a config in which all policies, inner ones too, are float32."""
    if isinstance(config, list | tuple):
        return type(config)(map(_with_float32, config))
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == _FLOAT32["class_name"]:
        return _FLOAT32
    # Inner models say of their inputs what type these are cast to.
    return {
        key: "float32"
        if key == "dtype" and value in _COARSE
        else _with_float32(value)
        for key, value in config.items()
    }
