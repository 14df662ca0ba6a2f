"""`compact_stages`: a small encoder whose features stay large."""

from collections.abc import Sequence

import keras

from keras_selfaux._checks import check_count, error
from keras_selfaux._types import Shape, Tensor
from keras_selfaux.architectures._residual import conv3x3, normalization


def compact_stages(
    filters: int = 32,
    rates: Sequence[int] = (1, 2, 4),
    *,
    channels: int = 3,
) -> list[keras.Model]:
    """Returns a small residual network as stages for a `BranchedEncoder`.

    Made for predictions at every pixel that a CPU can learn in minutes. Two
    convolutions with stride 2 make the first stage; every other stage adds
    to its inputs what one convolution of size 3 finds, dilated so that
    features see far without becoming fewer: `7 + 8 * sum(rates)` pixels of
    the image in height and width, which are 63 by default. Larger images
    want more rates, such as `(1, 2, 4, 8, 16)` for 255 pixels.

    References: He, Zhang, Ren, Sun, 2016 (arXiv 1512.03385); Yu, Koltun,
    2016 (arXiv 1511.07122).

    Args:
        filters: Number of channels of all features. Defaults to 32.
        rates: Dilation rate of each further stage. Defaults to
            `(1, 2, 4)`, which makes four stages.
        channels: Number of channels of the images. Defaults to 3.

    Returns:
        A list of `1 + len(rates)` functional models, from images
        `(batch, height, width, channels)` of any size to features
        `(batch, ⌈height / 4⌉, ⌈width / 4⌉, filters)`.

    Example:

    >>> stages = keras_selfaux.architectures.compact_stages()
    >>> encoder = keras_selfaux.layers.BranchedEncoder(
    ...     stages, paths="half", tasks=["seg", "depth"]
    ... )
    >>> encoder(np.ones((1, 48, 64, 3)))["seg"].shape
    TensorShape([1, 12, 16, 32])

    Raises:
        ValueError: If a number is not a positive integer, or if there are
            no `rates`.
    """
    check_count("filters", filters, least=1)
    check_count("channels", channels, least=1)
    if not rates or not all(type(r) is int and r > 0 for r in rates):
        raise error(
            "`rates` must give the dilation rate of every further stage.",
            received=f"rates={rates!r}",
            remedy="Pass positive integers, such as (1, 2, 4).",
        )
    stages = [_stem(filters, channels)]
    for number, rate in enumerate(rates):
        shape = stages[-1].output.shape[1:]
        stages.append(_block(f"block{number + 1}", shape, filters, rate))
    return stages


def _stem(filters: int, channels: int) -> keras.Model:
    images = keras.Input((None, None, channels))
    # The first convolution works on the largest images.
    x = _unit(images, "stem1", max(filters // 2, 1), stride=2)
    x = _unit(x, "stem2", filters, stride=2)
    return keras.Model(images, x, name="stem")


def _block(name: str, shape: Shape, filters: int, rate: int) -> keras.Model:
    inputs = keras.Input(shape)
    x = _unit(inputs, name, filters, rate=rate)
    x = keras.layers.Add(name=f"{name}_add")([inputs, x])
    return keras.Model(inputs, x, name=name)


def _unit(x: Tensor, name: str, filters: int, **steps: int) -> Tensor:
    x = conv3x3(x, f"{name}_conv", filters, **steps)
    # Statistics follow within tens of batches: small networks train for a
    # few hundred only.
    x = normalization(f"{name}_bn", momentum=0.9)(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)
