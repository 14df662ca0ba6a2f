"""`ASPP` against the same network written out in Keras's layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.layers import ASPP


def written_out(layer: ASPP, channels: int) -> keras.Model:
    """Returns the functional model that the layer should equal."""
    inputs = keras.Input((6, 8, channels))

    def unit(x, size, rate=1):
        x = keras.layers.Conv2D(
            layer.filters,
            size,
            padding="same",
            dilation_rate=rate,
            use_bias=False,
        )(x)
        return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))

    scales = [unit(inputs, 1)]
    scales += [unit(inputs, 3, rate) for rate in layer.rates]
    whole = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    whole = keras.layers.UpSampling2D((6, 8), interpolation="bilinear")(
        unit(whole, 1)
    )
    x = keras.layers.Concatenate()([*scales, whole])
    x = keras.layers.Dropout(layer.dropout)(unit(x, 1))
    return keras.Model(inputs, x)


def randomize(layer: keras.layers.Layer) -> None:
    rng = np.random.default_rng(0)
    layer.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) - 1 * (w.ndim > 1)
            for w in layer.get_weights()
        ]
    )


@pytest.mark.parametrize("training", [False, True])
def test_equals_keras_layers_side_by_side(training: bool) -> None:
    layer = ASPP(4, rates=(2, 3, 9), dropout=0.0)
    layer.build((None, 6, 8, 5))
    randomize(layer)
    reference = written_out(layer, 5)
    units = [layer.pointwise, *layer.dilated, layer.pooled, layer.projection]
    convolutions, normalizations = (
        [item for item in reference.layers if isinstance(item, kind)]
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    )
    for unit, convolution, normalization in zip(
        units,
        *(
            sorted(items, key=_number)
            for items in (convolutions, normalizations)
        ),
        strict=True,
    ):
        convolution.set_weights(unit.layers[0].get_weights())
        normalization.set_weights(unit.layers[1].get_weights())
    x = np.random.default_rng(1).normal(size=(2, 6, 8, 5)).astype("float32")
    np.testing.assert_allclose(
        layer(x, training=training),
        reference(x, training=training),
        rtol=1e-4,
        atol=1e-5,
    )
    for unit, normalization in zip(
        units, sorted(normalizations, key=_number), strict=True
    ):
        for found, wanted in zip(
            unit.layers[1].get_weights(),
            normalization.get_weights(),
            strict=True,
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def _number(layer: keras.layers.Layer) -> int:
    """Keras counts the layers of a kind in the order of their making."""
    last = layer.name.split("_")[-1]
    return int(last) if last.isdigit() else 0


def test_sizes_may_be_unknown() -> None:
    layer = ASPP(4, rates=(2, 9), dropout=0.0)
    layer.build((None, None, None, 5))
    output = layer(keras.Input((None, None, 5)))
    assert output.shape == (None, None, None, 4)
    specification = tf.TensorSpec((None, None, None, 5))
    dynamic = tf.function(layer, input_signature=[specification])
    for size in ((6, 8), (3, 11)):
        x = tf.random.normal((2, *size, 5))
        np.testing.assert_allclose(dynamic(x), layer(x), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    layer = ASPP(32, rates=(), dropout=0.5)
    x = np.ones((2, 4, 4, 3), "float32")
    layer(x)
    layer.projection.layers[1].beta.assign([5.0] * 32)
    assert np.all(layer(x) > 0)
    dropped = np.mean(layer(x, training=True) == 0)
    assert 0.4 < dropped < 0.6


def test_config_brings_it_back() -> None:
    layer = ASPP(4, (2, 3), 0.25, name="pyramid", dtype="mixed_bfloat16")
    again = ASPP.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again(np.ones((1, 4, 4, 3))).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` must be made of positive integers"),
        ({"rates": (1, 2.5)}, "`rates` must be made of positive integers"),
        ({"dropout": -0.1}, "`dropout` must be zero or a positive number"),
        ({"dropout": 1.0}, "`dropout` must be a fraction below 1"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ASPP(**arguments)


def test_inputs_that_are_no_images() -> None:
    with pytest.raises(ValueError, match="reads images of a known number"):
        ASPP(4)(np.ones((2, 5)))
