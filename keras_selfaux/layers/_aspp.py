"""`ASPP`: atrous spatial pyramid pooling."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_positive, error
from keras_selfaux._registry import register
from keras_selfaux._types import Layer, Shape, Tensor
from keras_selfaux.layers._dilated_convolution import DilatedConv2D


@register
class ASPP(keras.layers.Layer):
    """Looks at every pixel's surroundings at several scales at once.

    A convolution of size 1, a dilated one of size 3 per rate and the mean
    over the whole image run side by side; a last convolution of size 1
    projects what they find. Each convolution is without bias and followed
    by batch normalisation and ReLU.

    Reference: Chen, Papandreou, Schroff, Adam, 2017 (arXiv 1706.05587).

    Args:
        filters: Number of output channels, and of channels at each scale.
            Defaults to 256.
        rates: Dilation rates of the convolutions of size 3. Defaults to
            `(12, 24, 36)`, made for features at an eighth of the image's
            height and width.
        dropout: Fraction of the outputs to drop in training. Defaults to
            0.5.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`; height
            and width may be unknown.
        training: Whether dropout is active, and batches are normalised by
            their own statistics.

    Returns:
        Tensor of shape `(batch, height, width, filters)`.

    Example:

    >>> layer = keras_selfaux.layers.ASPP(filters=64, rates=(2, 4))
    >>> layer(np.ones((2, 12, 16, 3))).shape
    TensorShape([2, 12, 16, 64])

    Raises:
        ValueError: If `filters` or a rate is not a positive integer, or if
            `dropout` is not a fraction below 1.
    """

    def __init__(
        self,
        filters: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_integer("filters", filters)
        for rate in rates:
            _check_integer("rates", rate)
        check_positive("dropout", dropout, zero=True)
        if dropout >= 1:
            raise error(
                "`dropout` must be a fraction below 1.",
                received=f"dropout={dropout}",
                remedy="Pass the fraction to drop, such as 0.5.",
            )
        self.filters = filters
        self.rates = tuple(rates)
        self.dropout = dropout
        self.pointwise = self._unit("pointwise", keras.layers.Conv2D, 1)
        self.dilated = [
            self._unit(f"rate_{rate}", DilatedConv2D, 3, dilation_rate=rate)
            for rate in self.rates
        ]
        self.pooled = self._unit("pooled", keras.layers.Conv2D, 1)
        self.projection = self._unit("projection", keras.layers.Conv2D, 1)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def _unit(
        self, name: str, kind: type[Layer], size: int, **kwargs: Any
    ) -> Layer:
        """Returns a convolution, batch normalisation and ReLU."""
        settings = {"dtype": self.dtype_policy}
        return keras.Sequential(
            [
                kind(
                    self.filters,
                    size,
                    padding="same",
                    use_bias=False,
                    data_format="channels_last",
                    **kwargs,
                    **settings,
                ),
                keras.layers.BatchNormalization(**settings),
                keras.layers.ReLU(**settings),
            ],
            name=name,
        )

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for images of this shape."""
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise error(
                "`ASPP` reads images of a known number of channels.",
                received=f"inputs of shape {tuple(input_shape)}",
                remedy="Pass features (batch, height, width, channels).",
            )
        images = (None, None, None, input_shape[-1])
        self.pointwise.build(images)
        for unit in self.dilated:
            unit.build(images)
        self.pooled.build((None, 1, 1, input_shape[-1]))
        scales = len(self.rates) + 2
        self.projection.build((*images[:-1], scales * self.filters))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Returns what is seen at all scales."""
        mean = ops.mean(inputs, axis=(1, 2), keepdims=True)
        whole = self.pooled(mean, training=training)
        # One pixel, resized to the image, is that pixel everywhere.
        shape = ops.shape(inputs)
        whole = ops.broadcast_to(whole, (*shape[:-1], self.filters))
        scales = [self.pointwise(inputs, training=training)]
        scales += [unit(inputs, training=training) for unit in self.dilated]
        outputs = ops.concatenate([*scales, whole], axis=-1)
        outputs = self.projection(outputs, training=training)
        return self.drop(outputs, training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape with `filters` channels."""
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "rates": list(self.rates),
            "dropout": self.dropout,
        }


def _check_integer(name: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        raise error(
            f"`{name}` must be made of positive integers.",
            received=f"{name}: {value!r}",
            remedy="Pass integers from 1 on.",
        )
