"""`MedianAngle`: by how many degrees half of the directions are wrong."""

from typing import Any

from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._angles import degrees_between, no_direction
from keras_selfaux.metrics._pixels import (
    PixelMetric,
    pixel_weights,
    without_nan,
)

_BINS = 3600  # of 0.05 degrees


@register
class MedianAngle(PixelMetric):
    """The median angle in degrees between surface normals.

    The median is that of the whole data set, found in a histogram to within
    0.05 degrees (of an even number of angles, the lower one of the two in
    the middle). Labels that are NaN or of length zero, or whose weight is 0,
    count as missing. Lengths do not matter; a prediction of length zero is
    wrong by 90 degrees. Without any label the result is 0.

    Reference: Fouhey, Gupta, Hebert, 2013 ("Data-driven 3D primitives for
    single image understanding").

    Args:
        name: Name of the metric. Defaults to `"median_angle"`.
        dtype: Dtype of the result. Defaults to Keras's float dtype.

    Call arguments:
        y_true: Vectors of shape `(batch, ..., 3)`.
        y_pred: Vectors of shape `(batch, ..., 3)`.
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`. Defaults to 1.

    Example:

    >>> metric = keras_selfaux.metrics.MedianAngle()
    >>> y_true = [[1.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]]
    >>> metric.update_state(y_true, [[1.0, 0, 0], [2.0, 2.0, 0], [0, 1.0, 0]])
    >>> print(round(float(metric.result()), 1))
    45.0
    """

    def __init__(self, name: str = "median_angle", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "down"
        self.histogram = self._add_sums("histogram", (_BINS,))

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Adds a batch."""
        y_pred = ops.cast(y_pred, "float32")
        y_true, absent = without_nan(ops.cast(y_true, "float32"))
        absent = ops.logical_or(absent, no_direction(y_true))
        weights = pixel_weights(sample_weight, absent)
        angles = degrees_between(y_true, y_pred)
        # No number is in no bin: as a prediction it is as wrong as can be.
        angles = ops.where(ops.isnan(angles), 180.0, angles)
        bins = ops.cast(ops.floor(angles * (_BINS / 180)), "int32")
        bins = ops.clip(bins, 0, _BINS - 1)
        counts = ops.segment_sum(
            ops.reshape(ops.cast(weights, "float64"), (-1,)),
            ops.reshape(bins, (-1,)),
            num_segments=_BINS,
        )
        self.histogram.assign_add(counts)

    def result(self) -> Tensor:
        """Returns the median, between the ends of its bin by rank."""
        below = ops.cumsum(ops.convert_to_tensor(self.histogram))
        half = below[-1] / 2
        place = ops.sum(ops.cast(below < half, "int32"))
        count = ops.take(self.histogram, place)
        before = ops.take(below, place) - count
        share = ops.divide_no_nan(half - before, count)
        median = (ops.cast(place, "float64") + share) * (180 / _BINS)
        return ops.cast(median, self.dtype)
