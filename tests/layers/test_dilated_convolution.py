"""`DilatedConv2D` against Keras's `Conv2D`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_selfaux import _convolution
from keras_selfaux.layers import DilatedConv2D

# Kernel size, dilation rate, padding, data format, height and width.
CASES = [
    (3, 2, "same", "channels_last", (7, 9)),
    (3, 4, "valid", "channels_last", (11, 10)),
    (3, (1, 3), "same", "channels_last", (6, 8)),
    ((5, 3), (2, 3), "same", "channels_last", (6, 7)),
    ((2, 4), (3, 2), "same", "channels_last", (9, 8)),
    # Kernels of which some, or all but the centre, meet only padding.
    (3, 6, "same", "channels_last", (6, 8)),
    (3, 12, "same", "channels_last", (5, 7)),
    (5, 3, "same", "channels_last", (4, 12)),
    (3, 2, "same", "channels_last", (1, 1)),
    (3, 1, "same", "channels_last", (5, 6)),
    (1, 2, "valid", "channels_last", (5, 6)),
]


def pair(kernel_size, rate, padding, data_format, size, dtype="float32"):
    """Returns Keras's layer, ours with its weights, inputs and tangents."""
    arguments = {
        "filters": 4,
        "kernel_size": kernel_size,
        "dilation_rate": rate,
        "padding": padding,
        "data_format": data_format,
        "activation": "tanh",
        "dtype": dtype,
    }
    theirs = keras.layers.Conv2D(**arguments)
    ours = DilatedConv2D.from_config(theirs.get_config())
    shape = (2, *size, 3)
    if data_format == "channels_first":
        shape = (2, 3, *size)
    rng = np.random.default_rng(0)
    inputs, tangent = rng.normal(size=(2, *shape)).astype("float32")
    theirs.build(shape)
    ours.build(shape)
    theirs.bias.assign([0.1, -0.2, 0.3, 0.0])
    ours.set_weights(theirs.get_weights())
    return theirs, ours, tf.constant(inputs), tf.constant(tangent)


def evaluate(layer, inputs, tangent):
    """Returns values, gradients and a forward-mode derivative."""
    kernel = layer.kernel.value + 0
    moved = tf.sin(7 * kernel)

    def call(inputs, kernel):
        with keras.StatelessScope([(layer.kernel, kernel)]):
            return layer(inputs)

    def everything(inputs, kernel, tangent):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            outputs = call(inputs, kernel)
            total = tf.reduce_sum(tf.sin(tf.cast(outputs, "float32")))
        gradients = tape.gradient(total, [inputs, kernel])
        with tf.autodiff.ForwardAccumulator(
            [inputs, kernel], [tangent, moved]
        ) as accumulator:
            again = call(inputs, kernel)
        return outputs, *gradients, accumulator.jvp(again)

    return tf.function(everything)(inputs, kernel, tangent)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_derivatives_equal_keras(case) -> None:
    theirs, ours, *inputs = pair(*case)
    found, wanted = (evaluate(layer, *inputs) for layer in (ours, theirs))
    for value, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "case", [(3, 2, "same"), (3, 3, "valid"), (3, 6, "same")], ids=str
)
def test_channels_first(case) -> None:
    last, _, inputs, tangent = pair(*case, "channels_last", (8, 9))
    theirs, ours, *_ = pair(*case, "channels_first", (8, 9))
    for layer in (theirs, ours):
        layer.set_weights(last.get_weights())

    def swap(values):
        return ops.transpose(values, (0, 3, 1, 2))

    if not _convolution._has_gradient("float32", "channels_first"):
        # TensorFlow's own CPU kernels know channels_last only; oneDNN's and
        # a GPU's know both. Then ours fails as Keras's does.
        for layer in (theirs, ours):
            with pytest.raises(tf.errors.UnimplementedError, match="NHWC"):
                layer(swap(inputs))
        return
    wanted = evaluate(last, inputs, tangent)
    found = evaluate(ours, swap(inputs), swap(tangent))
    for number, (value, other) in enumerate(zip(found, wanted, strict=True)):
        # The third is the kernel's gradient.
        expected = other if number == 2 else swap(other)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(dtype: str) -> None:
    case = (3, 4, "same", "channels_last", (7, 9))
    _, ours, *inputs = pair(*case, dtype)
    theirs, *_ = pair(*case)
    theirs.set_weights(ours.get_weights())
    outputs, *found = evaluate(ours, *inputs)
    assert outputs.dtype == ours.compute_dtype
    wanted = evaluate(theirs, *inputs)
    for value, other in zip((outputs, *found), wanted, strict=True):
        scale = np.abs(other).max()
        difference = ops.cast(value, "float32") - other
        assert np.abs(difference).max() <= 0.03 * scale


def test_xla_differentiates_it() -> None:
    _, ours, inputs, _ = pair(3, 2, "same", "channels_last", (7, 9))

    def gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(ours(inputs))
        return tape.gradient(total, inputs)

    np.testing.assert_allclose(
        tf.function(gradient, jit_compile=True)(inputs),
        gradient(inputs),
        rtol=1e-4,
        atol=1e-5,
    )


def test_no_pixel_is_reordered() -> None:
    layer = DilatedConv2D(4, 3, padding="same", dilation_rate=2)
    layer.build((None, None, None, 3))
    specification = tf.TensorSpec((None, None, None, 3))
    graph = tf.function(layer).get_concrete_function(specification).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "Conv2D" in kinds
    assert "SpaceToBatchND" not in kinds


def test_unknown_sizes_and_groups_are_as_in_keras() -> None:
    for arguments in ({"dilation_rate": 9}, {"dilation_rate": 2, "groups": 3}):
        ours = DilatedConv2D(6, 3, padding="same", **arguments)
        theirs = keras.layers.Conv2D(6, 3, padding="same", **arguments)
        for layer in (ours, theirs):
            layer.build((None, None, None, 3))
        ours.set_weights(theirs.get_weights())
        specification = tf.TensorSpec((None, None, None, 3))
        inputs = tf.random.normal((2, 7, 8, 3))
        np.testing.assert_allclose(
            tf.function(ours, input_signature=[specification])(inputs),
            theirs(inputs),
            rtol=1e-4,
            atol=1e-5,
        )


def test_saving_brings_it_back(tmp_path) -> None:
    model = keras.Sequential(
        [keras.Input((6, 7, 3)), DilatedConv2D(4, 3, dilation_rate=2)]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is DilatedConv2D
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 3))
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_without_onednn_kerass_way_is_taken() -> None:
    script = """
import tensorflow as tf
from keras_selfaux import _convolution
from keras_selfaux.layers import DilatedConv2D

layer = DilatedConv2D(4, 3, padding="same", dilation_rate=2)
layer.build((None, 7, 9, 3))

@tf.function
def gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x))
    return tape.gradient(total, x)

gradient(tf.ones((2, 7, 9, 3)))
assert not _convolution._has_gradient("float32", "channels_last")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PYTHONPATH": ":".join(sys.path),
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "KERAS_BACKEND": "tensorflow",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
