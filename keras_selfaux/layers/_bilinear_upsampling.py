"""`BilinearUpsampling`: enlarges images by linear interpolation."""

from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._registry import register
from keras_selfaux._types import Shape, Tensor


@register
class BilinearUpsampling(keras.layers.Layer):
    """Enlarges images as `keras.layers.UpSampling2D` does, as two products.

    On TensorFlow the bilinear `UpSampling2D` and `Resizing` have no
    derivative in forward mode: it comes out as zero, and with it whatever
    weightings such as Auto-Lambda learn from it. This layer has all
    derivatives.

    Args:
        size: How many times larger the images become. Defaults to 2.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`; height
            and width may be unknown.

    Returns:
        Tensor of shape `(batch, height * size, width * size, channels)`.

    Example:

    >>> layer = keras_selfaux.layers.BilinearUpsampling(8)
    >>> layer(np.ones((2, 12, 16, 3))).shape
    TensorShape([2, 96, 128, 3])

    Raises:
        ValueError: If `size` is not a positive integer.
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if type(size) is not int or size < 1:
            raise error(
                "`size` must be a positive integer.",
                received=f"size={size!r}",
                remedy="Pass how many times larger the images should be.",
            )
        self.size = size
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs: Tensor) -> Tensor:
        """Interpolates between rows, then between columns."""
        height, width = ops.shape(inputs)[1:3]
        rows = _interpolation(height, self.size, inputs.dtype)
        columns = _interpolation(width, self.size, inputs.dtype)
        outputs = ops.einsum("bhwc,Hh->bHwc", inputs, rows)
        return ops.einsum("bHwc,Ww->bHWc", outputs, columns)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape with height and width multiplied."""
        batch, *sizes, channels = input_shape
        larger = (None if n is None else n * self.size for n in sizes)
        return (batch, *larger, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "size": self.size}


def _interpolation(length: Any, size: int, dtype: str) -> Tensor:
    """Returns the matrix `(length * size, length)` of the pixels' shares."""
    pixels = ops.arange(length, dtype="float32")
    centres = ops.arange(length * size, dtype="float32") + 0.5
    last = ops.cast(length - 1, "float32")
    places = ops.clip(centres / size - 0.5, 0.0, last)
    distances = ops.abs(places[:, None] - pixels[None])
    return ops.cast(ops.relu(1.0 - distances), dtype)
