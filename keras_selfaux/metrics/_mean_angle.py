"""`MeanAngle`: by how many degrees directions are wrong."""

from typing import Any

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._angles import AngleMean


@register
class MeanAngle(AngleMean):
    """The mean angle in degrees between surface normals.

    Pixels are pooled over the whole data set; labels that are NaN or of
    length zero, or whose weight is 0, count as missing. Lengths do not
    matter; a prediction of length zero is wrong by 90 degrees. Without any
    label the result is 0.

    Reference: Fouhey, Gupta, Hebert, 2013 ("Data-driven 3D primitives for
    single image understanding").

    Args:
        name: Name of the metric. Defaults to `"mean_angle"`.
        dtype: Dtype of the result. Defaults to Keras's float dtype.

    Call arguments:
        y_true: Vectors of shape `(batch, ..., 3)`.
        y_pred: Vectors of shape `(batch, ..., 3)`.
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`. Defaults to 1.

    Example:

    >>> metric = keras_selfaux.metrics.MeanAngle()
    >>> metric.update_state(
    ...     [[1.0, 0, 0], [1.0, 0, 0]], [[3.0, 0, 0], [0, 2.0, 0]]
    ... )
    >>> print(float(metric.result()))
    45.0
    """

    def __init__(self, name: str = "mean_angle", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self._direction = "down"

    def of_degrees(self, angles: Tensor) -> Tensor:
        """Returns the angles themselves."""
        return angles
