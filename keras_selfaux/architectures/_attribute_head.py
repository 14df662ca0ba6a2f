"""`attribute_head`: from feature maps to a few numbers per image."""

import keras

from keras_selfaux._checks import check_count


def attribute_head(
    num_outputs: int = 1, *, name: str | None = None
) -> keras.Sequential:
    """Returns a head for whole images, a template for `SelfAuxModel`'s `heads`.

    The mean over all positions, and a dense layer. There is no activation:
    use it with `from_logits=True`.

    Args:
        num_outputs: How many numbers to predict per image: 1 for an
            attribute that is there or not, the number of classes for one
            of several. Defaults to 1.
        name: Name of the head.

    Returns:
        A `keras.Sequential` without weights as yet, from features
        `(batch, height, width, channels)` to predictions
        `(batch, num_outputs)`, which are float32 under every dtype policy.

    Example:

    >>> head = keras_selfaux.architectures.attribute_head()
    >>> head(np.ones((2, 6, 8, 512))).shape
    TensorShape([2, 1])

    Raises:
        ValueError: If `num_outputs` is not a positive integer.
    """
    check_count("num_outputs", num_outputs, least=1)
    return keras.Sequential(
        [
            # A mean over many positions would lose digits in float16.
            keras.layers.GlobalAveragePooling2D(dtype="float32"),
            keras.layers.Dense(num_outputs, dtype="float32"),
        ],
        name=name,
    )
