"""`resnet18_stages`: ResNet-18 in five stages."""

from collections.abc import Sequence

import keras

from keras_selfaux._types import Shape
from keras_selfaux.architectures._residual import (
    Group,
    basic_block,
    check_blocks,
    groups_of,
    stem,
    unbiased,
)


def resnet18_stages(
    output_stride: int = 32,
    *,
    blocks: Sequence[int] = (2, 2, 2, 2),
    filters: int = 64,
    channels: int = 3,
) -> list[keras.Model]:
    """Returns ResNet-18 as five stages for a `layers.BranchedEncoder`.

    The stages are the stem and the four groups of residual blocks, each of
    two convolutions of size 3. Convolutions have no bias, being followed by
    batch normalisation, and start from He's normal distribution. With
    `output_stride` below 32 the last groups keep the resolution and dilate
    their convolutions instead, which leaves the weights as they are.

    References: He, Zhang, Ren, Sun, 2016 (arXiv 1512.03385); Chen,
    Papandreou, Schroff, Adam, 2017 (arXiv 1706.05587).

    Args:
        output_stride: How many times smaller than the image the features
            are: 8, 16 or 32. Defaults to 32, for `attribute_head`.
        blocks: Number of residual blocks per group: `(3, 4, 6, 3)` makes
            ResNet-34. Defaults to `(2, 2, 2, 2)`.
        filters: Number of channels of the stem and the first group; each
            further group has twice as many. Defaults to 64.
        channels: Number of channels of the images. Defaults to 3.

    Returns:
        A list of five functional models, from images
        `(batch, height, width, channels)` of any size to features
        `(batch, ⌈height / output_stride⌉, ..., 8 * filters)`.

    Example:

    >>> stages = keras_selfaux.architectures.resnet18_stages(filters=16)
    >>> encoder = keras_selfaux.layers.BranchedEncoder(
    ...     stages, paths="half", tasks=["smiling", "young"]
    ... )
    >>> encoder(np.ones((1, 96, 128, 3)))["young"].shape
    TensorShape([1, 3, 4, 128])

    Raises:
        ValueError: If `output_stride` is not 8, 16 or 32, if there are not
            four groups, or if a number is not a positive integer.
    """
    groups = list(groups_of(output_stride))
    check_blocks(blocks)
    stages = [stem(filters, channels, **unbiased())]
    for number, (count, group) in enumerate(zip(blocks, groups, strict=True)):
        shape = stages[-1].output.shape[1:]
        width = filters * 2**number
        stages.append(_group(f"conv{number + 2}", shape, width, count, group))
    return stages


def _group(
    name: str, shape: Shape, width: int, count: int, group: Group
) -> keras.Model:
    """Returns a group of residual blocks; the first one has the stride."""
    inputs = x = keras.Input(shape)
    for number in range(1, count + 1):
        x = basic_block(x, f"{name}_block{number}", width, group)
        group = Group(1, group.rate, group.rate)
    return keras.Model(inputs, x, name=name)
