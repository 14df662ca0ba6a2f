"""`DilatedConv2D`: Keras's `Conv2D`, without its detours when dilated."""

from typing import Any

import keras

from keras_selfaux._convolution import dilated_conv2d
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor


@register
class DilatedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` that is fast where it is dilated.

    Arguments, weights and results are those of `keras.layers.Conv2D`, whose
    configs and weights (`get_weights`) this layer takes. It differs in how
    a convolution with `dilation_rate` above 1 is computed: directly where
    the backend can, and without those entries of the kernel that would meet
    nothing but padding. Without dilation, or with `groups` above 1, it does
    what Keras does.

    Args:
        filters: Number of output channels.
        kernel_size: An integer, or one for rows and one for columns.
        **kwargs: As for `keras.layers.Conv2D`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`, or with
            the channels second if `data_format` is `"channels_first"`.

    Returns:
        Tensor of shape `(batch, new_height, new_width, filters)`, or with
        the filters second.

    Example:

    >>> layer = keras_selfaux.layers.DilatedConv2D(
    ...     8, 3, padding="same", dilation_rate=4
    ... )
    >>> layer(np.ones((2, 12, 16, 3))).shape
    TensorShape([2, 12, 16, 8])

    Raises:
        ValueError: As `keras.layers.Conv2D` does.
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolves; called by `call`, which adds bias and activation."""
        if max(self.dilation_rate) == 1 or self.groups > 1:
            return super().convolution_op(inputs, kernel)
        rate = list(self.dilation_rate)
        if self.padding == "same":
            first = 1 if self.data_format == "channels_last" else 2
            sizes = inputs.shape[first : first + 2]
            for axis, size in enumerate(sizes):
                reach = _reach(kernel.shape[axis], size, rate[axis])
                if reach is not None:
                    kernel = _central(kernel, axis, reach)
                    rate[axis] = rate[axis] if reach else 1
        return dilated_conv2d(
            inputs, kernel, rate, self.padding, self.data_format
        )


def _reach(length: int, size: Any, rate: int) -> int | None:
    """Returns how many entries beside the central one can meet a pixel.

    Args:
        length: Length of the kernel along an axis.
        size: Length of the image along it; `None` if unknown.
        rate: Steps between the kernel's entries.

    Returns:
        The number on either side, or `None` if all may be needed.
    """
    if type(size) is not int or length % 2 == 0:
        return None
    reach = max(size - 1, 0) // rate
    return reach if reach < length // 2 else None


def _central(kernel: Tensor, axis: int, reach: int) -> Tensor:
    """Keeps the central entry along an axis and `reach` on either side."""
    centre = kernel.shape[axis] // 2
    kept = slice(centre - reach, centre + reach + 1)
    return kernel[(slice(None),) * axis + (kept,)]
