"""`resnet50_stages`: ResNet-50 in five stages, dilated where asked."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_selfaux._checks import error
from keras_selfaux._types import Shape, Tensor
from keras_selfaux.architectures._residual import (
    Group,
    check_blocks,
    groups_of,
    normalization,
    stem,
)
from keras_selfaux.layers import DilatedConv2D

_BLOCKS = (3, 4, 6, 3)
_FILTERS = 64

# What the published weights expect to be subtracted, for bytes of red, green
# and blue: the means over ImageNet's images.
_MEANS = (123.68, 116.779, 103.939)


def resnet50_stages(
    output_stride: int = 8,
    *,
    weights: str | os.PathLike[str] | None = None,
    blocks: Sequence[int] = _BLOCKS,
    filters: int = _FILTERS,
    channels: int = 3,
    pipeline_images: bool = False,
) -> list[keras.Model]:
    """Returns ResNet-50 as five stages for a `layers.BranchedEncoder`.

    The stages are the stem and the four groups of residual blocks. With
    `output_stride` below 32 the last groups keep the resolution and dilate
    their convolutions instead, which leaves the weights as they are. Layers
    have the names, and images take the preprocessing
    (`keras.applications.resnet.preprocess_input`), of
    `keras.applications.ResNet50`.

    References: He, Zhang, Ren, Sun, 2016 (arXiv 1512.03385); Chen,
    Papandreou, Schroff, Adam, 2017 (arXiv 1706.05587).

    Args:
        output_stride: How many times smaller than the image the features
            are: 8, 16 or 32. Defaults to 8.
        weights: As for `keras.applications.ResNet50`: `"imagenet"`, which
            may download them, the path of a weights file of that model
            without its top, or `None` for random weights. Defaults to
            `None`.
        blocks: Number of residual blocks per group. Defaults to
            `(3, 4, 6, 3)`.
        filters: Number of channels of the stem; the groups have 4, 8, 16
            and 32 times as many. Defaults to 64.
        channels: Number of channels of the images. Defaults to 3.
        pipeline_images: Whether images are as `datasets.pipeline` gives them,
            red first and from -1 to 1, and not preprocessed as
            `keras.applications.ResNet50` takes them. The first stage then
            turns the one into the other. Defaults to `False`.

    Returns:
        A list of five functional models, from images
        `(batch, height, width, channels)` of any size to features
        `(batch, ⌈height / output_stride⌉, ..., 32 * filters)`.

    Example:

    >>> stages = keras_selfaux.architectures.resnet50_stages()
    >>> encoder = keras_selfaux.layers.BranchedEncoder(
    ...     stages, paths="half", tasks=["seg", "depth"]
    ... )
    >>> encoder(np.ones((1, 96, 128, 3)))["seg"].shape
    TensorShape([1, 12, 16, 2048])

    Raises:
        ValueError: If `output_stride` is not 8, 16 or 32, if there are not
            four groups, if a number is not a positive integer, if `weights`
            are given for another network than ResNet-50, or if
            `pipeline_images` have other than three channels.
    """
    groups = list(groups_of(output_stride))
    check_blocks(blocks)
    if pipeline_images and channels != 3:
        raise error(
            "`pipeline_images` are red, green and blue.",
            received=f"channels={channels}",
            remedy="Leave `channels` at 3, or preprocess the images yourself.",
        )
    stages = [stem(filters, channels, _rescaling() if pipeline_images else ())]
    for number, (count, group) in enumerate(zip(blocks, groups, strict=True)):
        shape = stages[-1].output.shape[1:]
        width = filters * 2**number
        stages.append(_group(f"conv{number + 2}", shape, width, count, group))
    if weights is not None:
        own = (tuple(blocks), filters, channels) == (_BLOCKS, _FILTERS, 3)
        if not own:
            raise error(
                "`weights` are those of ResNet-50, and fit no other network.",
                received=f"blocks={blocks!r}, filters={filters}, "
                f"channels={channels}",
                remedy="Leave these arguments at their defaults.",
            )
        _load(stages, weights, flips=pipeline_images)
    return stages


def _rescaling() -> list[keras.layers.Layer]:
    """Returns what turns images from -1 to 1 into bytes less their means."""
    offsets = [127.5 - mean for mean in _MEANS]
    return [keras.layers.Rescaling(127.5, offsets, name="conv1_rescaling")]


def _group(
    name: str, shape: Shape, width: int, count: int, group: Group
) -> keras.Model:
    """Returns a group of residual blocks; the first one has the stride."""
    inputs = x = keras.Input(shape)
    for number in range(1, count + 1):
        first = number == 1
        x = _block(
            x,
            f"{name}_block{number}",
            width,
            stride=group.stride if first else 1,
            rate=group.rate,
            widens=first,
        )
    return keras.Model(inputs, x, name=name)


def _block(
    inputs: Tensor,
    name: str,
    width: int,
    *,
    stride: int,
    rate: int,
    widens: bool,
) -> Tensor:
    """Applies a bottleneck block."""
    shortcut = inputs
    if widens:
        shortcut = keras.layers.Conv2D(
            4 * width, 1, strides=stride, name=f"{name}_0_conv"
        )(inputs)
        shortcut = normalization(f"{name}_0_bn")(shortcut)
    x = keras.layers.Conv2D(width, 1, strides=stride, name=f"{name}_1_conv")(
        inputs
    )
    x = normalization(f"{name}_1_bn")(x)
    x = keras.layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = DilatedConv2D(
        width, 3, padding="same", dilation_rate=rate, name=f"{name}_2_conv"
    )(x)
    x = normalization(f"{name}_2_bn")(x)
    x = keras.layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = keras.layers.Conv2D(4 * width, 1, name=f"{name}_3_conv")(x)
    x = normalization(f"{name}_3_bn")(x)
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.Activation("relu", name=f"{name}_out")(x)


def _load(stages: Sequence[keras.Model], weights: Any, *, flips: bool) -> None:
    """Copies weights from Keras's ResNet-50, layer by layer.

    Args:
        stages: Where to.
        weights: Where from.
        flips: Whether images come red first; the weights want blue first.
    """
    source = keras.applications.ResNet50(include_top=False, weights=weights)
    for stage in stages:
        for layer in stage.layers:
            if layer.weights:
                layer.set_weights(source.get_layer(layer.name).get_weights())
    if flips:
        first = stages[0].get_layer("conv1_conv")
        kernel, bias = first.get_weights()
        first.set_weights([kernel[:, :, ::-1], bias])
