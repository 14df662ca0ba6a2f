"""What a layer has learned or was told, given to a copy of it."""

import tempfile

import keras

from keras_selfaux._types import Layer


def copy_state(source: Layer, copy: Layer) -> None:
    """Gives a copy the weights of a layer, and all else that Keras saves.

    Layers that prepare data keep what `adapt` found outside of their weights:
    a vocabulary, or the mean and variance of a `Normalization`, which are
    worked out again whenever weights are loaded.

    Args:
        source: A built layer or model.
        copy: A built copy by its config.
    """
    copy.set_weights(source.get_weights())
    pairs = zip(_inner_layers(source), _inner_layers(copy), strict=True)
    for given, taken in pairs:
        if hasattr(given, "save_assets") and given is not taken:
            with tempfile.TemporaryDirectory() as folder:
                given.save_assets(folder)
                taken.load_assets(folder)
        if hasattr(taken, "finalize_state"):
            taken.finalize_state()


def _inner_layers(layer: Layer) -> list[Layer]:
    inner = layer._flatten_layers()
    return [item for item in inner if not isinstance(item, keras.Model)]
