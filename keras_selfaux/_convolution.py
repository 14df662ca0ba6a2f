"""Dilated convolutions, as the backend can run them directly.

On TensorFlow, Keras reorders the pixels before and after a convolution
instead of dilating it, which takes many times longer on a CPU. This is the
one place that calls TensorFlow's own dilated convolution.
"""

import functools
from collections.abc import Sequence

import keras
from keras import ops

from keras_selfaux._types import Tensor


def dilated_conv2d(
    inputs: Tensor,
    kernel: Tensor,
    dilation_rate: Sequence[int],
    padding: str,
    data_format: str,
) -> Tensor:
    """Convolves with stride 1, in the fastest way that can be trained.

    Args:
        inputs: Images of shape `(batch, height, width, channels)`, or with
            the channels second if `data_format` is `"channels_first"`.
        kernel: Tensor of shape `(rows, columns, channels, filters)`.
        dilation_rate: Steps between rows and between columns of the kernel.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        Images of `filters` channels, shaped as by `keras.ops.conv`.
    """
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    rate = tuple(dilation_rate)
    if max(rate) == 1 or not _has_gradient(dtype, data_format):
        return ops.conv(
            inputs,
            kernel,
            padding=padding,
            dilation_rate=rate,
            data_format=data_format,
        )
    return _direct(inputs, kernel, rate, padding, data_format)


def _direct(
    inputs: Tensor,
    kernel: Tensor,
    rate: tuple[int, ...],
    padding: str,
    data_format: str,
) -> Tensor:
    import tensorflow as tf

    return tf.nn.conv2d(
        inputs,
        kernel,
        strides=1,
        padding=padding.upper(),
        data_format="NHWC" if data_format == "channels_last" else "NCHW",
        dilations=rate,
    )


@functools.cache
def _has_gradient(dtype: str, data_format: str) -> bool:
    """Says whether dilated convolutions can be differentiated here.

    On a CPU their gradients are oneDNN's alone: they are missing where it
    was switched off or lacks the dtype. Nothing but trying tells.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    nhwc = data_format == "channels_last"
    # No tape: it would not record where another graph is being traced.
    settings = {
        "strides": [1, 1, 1, 1],
        "padding": "SAME",
        "data_format": "NHWC" if nhwc else "NCHW",
        "dilations": [1, 2, 2, 1] if nhwc else [1, 1, 2, 2],
    }

    def gradients() -> list[Tensor]:
        images = tf.ones((1, 4, 4, 4), dtype)
        kernel = tf.ones((3, 3, 4, 4), dtype)
        return [
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=images.shape,
                filter=kernel,
                out_backprop=images,
                **settings,
            ),
            tf.raw_ops.Conv2DBackpropFilter(
                input=images,
                filter_sizes=kernel.shape,
                out_backprop=images,
                **settings,
            ),
        ]

    with tf.init_scope():  # also where a graph is being traced
        try:
            gradients()
            tf.function(gradients, autograph=False)()
        except tf.errors.OpError:
            return False
    return True
