"""Encoded images."""

import numpy as np
import tensorflow as tf


def pixels(side: int = 32) -> np.ndarray:
    """Returns an image of random colours."""
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def jpeg() -> bytes:
    """Returns it as JPEG."""
    return tf.io.encode_jpeg(pixels()).numpy()


def png() -> bytes:
    """Returns it as PNG."""
    return tf.io.encode_png(pixels()).numpy()
