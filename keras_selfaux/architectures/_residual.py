"""What the residual networks have in common."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux._checks import check_choice, check_count, error
from keras_selfaux._types import Tensor
from keras_selfaux.layers import DilatedConv2D


class Group(NamedTuple):
    """How a group of residual blocks treats the resolution.

    Attributes:
        stride: Stride of the first block.
        rate_before: Dilation rate of what lies before that stride.
        rate: Dilation rate of all that follows.
    """

    stride: int
    rate_before: int
    rate: int


def groups_of(output_stride: int) -> Iterator[Group]:
    """Returns what becomes of a network's four groups.

    The first keeps the stem's quarter of the resolution and each of the
    others halves it, until features are `output_stride` times smaller than
    the image; from there on groups dilate instead.

    Args:
        output_stride: 8, 16 or 32.

    Raises:
        ValueError: If `output_stride` is another number.
    """
    check_choice("output_stride", output_stride, (8, 16, 32))
    stride, rate = 4, 1
    yield Group(1, rate, rate)
    for _ in range(3):
        step = 2 if stride < output_stride else 1
        stride *= step
        before, rate = rate, rate * 2 // step
        yield Group(step, before, rate)


def check_blocks(blocks: Sequence[int]) -> None:
    """Raises unless there is a number of blocks for each of four groups."""
    if len(blocks) != 4 or not all(
        type(count) is int and count > 0 for count in blocks
    ):
        raise error(
            "`blocks` must give the number of blocks of four groups.",
            received=f"blocks={blocks!r}",
            remedy="Pass four positive integers, such as (3, 4, 6, 3).",
        )


def stem(
    filters: int,
    channels: int,
    preprocessing: Sequence[keras.layers.Layer] = (),
    **settings: Any,
) -> keras.Model:
    """Returns the first stage: features at a quarter of the resolution.

    Args:
        filters: Number of channels of the features.
        channels: Number of channels of the images.
        preprocessing: Layers that the images go through first.
        **settings: Further arguments of the convolution.
    """
    check_count("filters", filters, least=1)
    check_count("channels", channels, least=1)
    images = x = keras.Input((None, None, channels))
    for layer in preprocessing:
        x = layer(x)
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = keras.layers.Conv2D(
        filters, 7, strides=2, name="conv1_conv", **settings
    )(x)
    x = normalization("conv1_bn")(x)
    x = keras.layers.Activation("relu", name="conv1_relu")(x)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    return keras.Model(images, x, name="conv1")


def normalization(name: str, **settings: Any) -> Any:
    """Returns batch normalisation as in the published networks."""
    # The epsilon is that of the published weights.
    return keras.layers.BatchNormalization(
        epsilon=1.001e-5, name=name, **settings
    )


def basic_block(inputs: Tensor, name: str, width: int, group: Group) -> Tensor:
    """Applies two convolutions of size 3 beside a shortcut.

    The shortcut is a convolution of size 1 where the shape changes, and
    else the inputs themselves.

    Args:
        inputs: Features of a known number of channels.
        name: What the layers' names begin with.
        width: Number of channels to return.
        group: Stride and dilation rates.
    """
    shortcut = inputs
    if group.stride > 1 or inputs.shape[-1] != width:
        shortcut = keras.layers.Conv2D(
            width, 1, strides=group.stride, name=f"{name}_0_conv", **unbiased()
        )(inputs)
        shortcut = normalization(f"{name}_0_bn")(shortcut)
    stride, rate_before, rate = group
    x = conv3x3(inputs, f"{name}_1_conv", width, stride, rate_before)
    x = normalization(f"{name}_1_bn")(x)
    x = keras.layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = conv3x3(x, f"{name}_2_conv", width, rate=rate)
    x = normalization(f"{name}_2_bn")(x)
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.Activation("relu", name=f"{name}_out")(x)


def conv3x3(
    inputs: Tensor, name: str, width: int, stride: int = 1, rate: int = 1
) -> Tensor:
    """Applies a convolution of size 3, to be followed by normalisation."""
    if stride == 1:
        return DilatedConv2D(
            width,
            3,
            padding="same",
            dilation_rate=rate,
            name=name,
            **unbiased(),
        )(inputs)
    # Keras pads an even size on one side only, which would shift features
    # against those that a dilated network finds.
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(inputs)
    return keras.layers.Conv2D(
        width, 3, strides=stride, name=name, **unbiased()
    )(x)


def unbiased() -> dict[str, Any]:
    """Returns settings of a convolution before normalisation and ReLU."""
    return {"use_bias": False, "kernel_initializer": "he_normal"}
