"""Images as the data sets hold them, and as networks take them."""

from typing import Any

import tensorflow as tf

from keras_selfaux._types import Tensor


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns images in another size, averaged over areas.

    Args:
        pixels: Of type uint8, `(height, width, channels)`, with or without a
            batch axis before.
        size: Height and width wanted.

    Returns:
        A tensor of type uint8.
    """
    averages = tf.round(tf.image.resize(pixels, size, method="area"))
    return tf.cast(tf.clip_by_value(averages, 0, 255), tf.uint8)


def scaled(pixels: Tensor) -> Tensor:
    """Returns images from -1 to 1, float32, of bytes."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def as_pixels(images: Any) -> Any:
    """Returns images from -1 to 1, as `scaled` gives them, as bytes.

    Args:
        images: An array of any shape.

    Returns:
        A NumPy array of uint8.
    """
    pixels = tf.round((tf.convert_to_tensor(images) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8).numpy()
