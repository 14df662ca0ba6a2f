"""`pixel_head`: the light way from features to a prediction per pixel."""

import keras

from keras_selfaux._checks import check_count
from keras_selfaux.layers import BilinearUpsampling


def pixel_head(
    num_outputs: int,
    *,
    upsampling: int = 4,
    filters: int = 32,
    name: str | None = None,
) -> keras.Sequential:
    """Returns a head for every pixel, a template for `SelfAuxModel`'s `heads`.

    A convolution of size 3 with batch normalisation and ReLU, and a
    convolution of size 1 whose outputs are enlarged to the image's size. It
    goes on `compact_stages`; for large networks see `deeplab_head`.

    Args:
        num_outputs: Number of channels to predict, such as classes. There
            is no activation: classes come as logits.
        upsampling: How many times smaller than the image the features are.
            Defaults to 4. Where it does not divide the image's size,
            predictions are larger than the image.
        filters: Number of channels within the head. Defaults to 32.
        name: Name of the head.

    Returns:
        A `keras.Sequential` without weights as yet, from features
        `(batch, height, width, channels)` to predictions
        `(batch, height * upsampling, width * upsampling, num_outputs)`,
        which are float32 under every dtype policy.

    Example:

    >>> head = keras_selfaux.architectures.pixel_head(9)
    >>> head(np.ones((2, 12, 16, 32))).shape
    TensorShape([2, 48, 64, 9])

    Raises:
        ValueError: If a number is not a positive integer.
    """
    check_count("num_outputs", num_outputs, least=1)
    check_count("filters", filters, least=1)
    return keras.Sequential(
        [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
            ),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            # In float32, since rounding would show in what is enlarged.
            keras.layers.Conv2D(num_outputs, 1, dtype="float32"),
            BilinearUpsampling(upsampling, dtype="float32"),
        ],
        name=name,
    )
