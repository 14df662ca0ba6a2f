"""The plain model that remains when the clones are thrown away."""

from typing import Any

import keras

from keras_selfaux._layer_state import copy_state
from keras_selfaux._stacking import Template
from keras_selfaux._stacking._template import symbolic_input
from keras_selfaux._types import Layer
from keras_selfaux.layers import BranchedEncoder, HeadBank


def inference_model(
    encoder: Layer, heads: HeadBank, input_shape: Any, name: str
) -> keras.Model:
    """Returns a functional Keras model of the primaries.

    Stacked layers become ordinary ones, so that the model needs nothing of
    this package (other than what the encoder itself may need).

    Args:
        encoder: The encoder, built.
        heads: The heads, built.
        input_shape: The shape, or structure of shapes, of the inputs.
        name: The model's name.

    Returns:
        A model that maps the inputs to `{task: prediction}`, with a
        snapshot of the weights.
    """
    if isinstance(encoder, BranchedEncoder):
        inputs = symbolic_input(input_shape)
        features = encoder.plain_features(inputs)
    elif isinstance(encoder, keras.Model) and hasattr(encoder, "operations"):
        copy = keras.models.clone_model(encoder)
        copy_state(encoder, copy)
        inputs, features = copy.input, copy.output
    else:
        copy = Template(encoder).copy()
        inputs = symbolic_input(input_shape)
        features = copy(inputs)
        copy_state(encoder, copy)
    taken = {layer.name for layer in keras.Model(inputs, features).layers}
    return keras.Model(inputs, heads.plain_heads(features, taken), name=name)
