"""`BilinearUpsampling` against Keras's layer, which lacks a derivative."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.layers import BilinearUpsampling


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_equals_keras(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    theirs = keras.layers.UpSampling2D(size, interpolation="bilinear")
    ours = BilinearUpsampling(size)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert ours.compute_output_shape(x.shape) == ours(x).shape
    unknown = tf.TensorSpec((None, None, None, 4))
    dynamic = tf.function(ours, input_signature=[unknown])
    np.testing.assert_allclose(dynamic(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_linear_layer_is_its_own_forward_derivative() -> None:
    layer = BilinearUpsampling(3)
    x, tangent = tf.random.normal((2, 2, 3, 4, 1))
    with tf.autodiff.ForwardAccumulator(x, tangent) as accumulator:
        outputs = layer(x)
    np.testing.assert_allclose(
        accumulator.jvp(outputs), layer(tangent), rtol=1e-5, atol=1e-5
    )


def test_config_brings_it_back() -> None:
    layer = BilinearUpsampling(4, name="larger")
    assert BilinearUpsampling.from_config(layer.get_config()).size == 4


def test_a_size_must_be_a_positive_integer() -> None:
    with pytest.raises(ValueError, match="`size` must be a positive integer"):
        BilinearUpsampling(0)
