"""`deeplab_head`: a prediction for every pixel of the image."""

import keras
import numpy as np
import pytest

from keras_selfaux.architectures import deeplab_head


@pytest.mark.parametrize("upsampling", [1, 8])
def test_predictions_have_the_images_size(upsampling: int) -> None:
    head = deeplab_head(5, upsampling=upsampling, filters=4, rates=(2,))
    assert not head.built  # so that every copy draws its own weights
    outputs = head(np.ones((2, 3, 4, 6), "float32"))
    assert outputs.shape == (2, 3 * upsampling, 4 * upsampling, 5)


def test_arguments_reach_the_layers() -> None:
    head = deeplab_head(5, filters=4, rates=(2, 3), dropout=0.25, name="depth")
    assert head.name == "depth"
    aspp = head.layers[0]
    assert (aspp.filters, aspp.rates, aspp.dropout) == (4, (2, 3), 0.25)


def test_predictions_are_float32_in_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head = deeplab_head(5, filters=4, rates=(2,))
        outputs = head(np.ones((2, 3, 4, 6), "float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == "float32"
