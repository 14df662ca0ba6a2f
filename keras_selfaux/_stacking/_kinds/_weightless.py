"""Layers without weights: they run on all nodes as if these were samples."""

import keras

from keras_selfaux._types import Layer

WEIGHTLESS = frozenset(
    getattr(keras.layers, name)
    for name in """
        Activation Identity ReLU LeakyReLU ELU Softmax Rescaling
        Dropout GaussianDropout GaussianNoise
        SpatialDropout1D SpatialDropout2D SpatialDropout3D
        Flatten Reshape Permute RepeatVector UnitNormalization
        GlobalAveragePooling1D GlobalAveragePooling2D
        GlobalMaxPooling1D GlobalMaxPooling2D
        AveragePooling1D AveragePooling2D MaxPooling1D MaxPooling2D
        UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    """.split()  # noqa: SIM905  (a list would fill a page)
)


def weightless_obstacle(layer: Layer) -> str | None:
    """Returns the setting by which samples matter to each other, if any."""
    axis = getattr(layer, "axis", -1)
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    if not all(axis == -1 or axis > 0 for axis in axes):
        return f"axis={axis}"
    if getattr(layer, "noise_shape", None) is not None:
        return "a noise_shape"
    return None


def is_random(layer: Layer) -> bool:
    """Says whether a layer draws random numbers in training."""
    return hasattr(layer, "seed_generator")
