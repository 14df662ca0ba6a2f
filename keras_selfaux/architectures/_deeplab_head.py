"""`deeplab_head`: from features to a prediction for every pixel."""

from collections.abc import Sequence

import keras

from keras_selfaux.layers import ASPP, BilinearUpsampling


def deeplab_head(
    num_outputs: int,
    *,
    upsampling: int = 8,
    filters: int = 256,
    rates: Sequence[int] = (12, 24, 36),
    dropout: float = 0.5,
    name: str | None = None,
) -> keras.Sequential:
    """Returns a DeepLab head, a template for `SelfAuxModel`'s `heads`.

    ASPP, a convolution of size 3 with batch normalisation and ReLU, and a
    convolution of size 1 whose outputs are enlarged to the image's size.

    Reference: Chen, Papandreou, Schroff, Adam, 2017 (arXiv 1706.05587).

    Args:
        num_outputs: Number of channels to predict, such as classes. There
            is no activation: classes come as logits.
        upsampling: How many times smaller than the image the features are.
            Defaults to 8.
        filters: Number of channels within the head. Defaults to 256.
        rates: Dilation rates of the `layers.ASPP`. Defaults to
            `(12, 24, 36)`.
        dropout: Fraction that the `layers.ASPP` drops in training. Defaults
            to 0.5.
        name: Name of the head.

    Returns:
        A `keras.Sequential` without weights as yet, from features
        `(batch, height, width, channels)` to predictions
        `(batch, height * upsampling, width * upsampling, num_outputs)`,
        which are float32 under every dtype policy.

    Example:

    >>> head = keras_selfaux.architectures.deeplab_head(13)
    >>> head(np.ones((2, 12, 16, 32))).shape
    TensorShape([2, 96, 128, 13])

    Raises:
        ValueError: If a number is not positive.
    """
    return keras.Sequential(
        [
            ASPP(filters, rates, dropout),
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(num_outputs, 1),
            BilinearUpsampling(upsampling, dtype="float32"),
        ],
        name=name,
    )
