"""Settings that no stacked layer knows of, whatever its kind."""

import keras

from keras_selfaux._types import Layer

# The penalty of a stack is then the sum of the penalties of its layers.
_ELEMENTWISE = (
    keras.regularizers.L1,
    keras.regularizers.L2,
    keras.regularizers.L1L2,
)


# They have no weights, and do the same whatever the axes mean.
_POINTWISE = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)


def special_setting(layer: Layer) -> str | None:
    """Returns a setting that makes a layer more than its kind, if any."""
    if getattr(layer, "lora_rank", None):
        return "LoRA"
    if getattr(layer, "quantization_mode", None) is not None:
        return "quantized weights"
    for name, value in vars(layer).items():
        if value is None:
            continue
        if name.endswith("_constraint"):
            return f"a {name}"
        if name == "activity_regularizer":
            return f"an {name}"
        if name.endswith("_regularizer") and type(value) not in _ELEMENTWISE:
            return f"a {name} other than L1 and L2"
        if isinstance(value, keras.layers.Layer) and not _is_pointwise(value):
            return f"a layer as its {name}"
    return None


def _is_pointwise(layer: Layer) -> bool:
    return type(layer) in _POINTWISE and layer.activity_regularizer is None
