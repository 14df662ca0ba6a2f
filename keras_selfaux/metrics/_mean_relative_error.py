"""`MeanRelativeError`: errors as fractions of what they are errors in."""

from typing import Any

from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._pixels import PixelMean


@register
class MeanRelativeError(PixelMean):
    """The mean of `|y_pred - y_true| / |y_true|` over pixels with a label.

    The usual second figure for depth, beside the mean absolute error in
    metres (`keras.metrics.MeanAbsoluteError`): a fraction, not a
    percentage. Pixels are pooled over the whole data set; labels that are
    0 or NaN, or whose weight is 0, count as missing. Without any label the
    result is 0.

    Reference: Eigen, Puhrsch, Fergus, 2014 (arXiv 1406.2283).

    Args:
        name: Name of the metric. Defaults to `"mean_relative_error"`.
        dtype: Dtype of the result. Defaults to Keras's float dtype.

    Call arguments:
        y_true: Labels of shape `(batch, ..., 1)` or `(batch, ...)`.
        y_pred: Predictions of shape `(batch, ..., 1)`.
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`. Defaults to 1.

    Example:

    >>> metric = keras_selfaux.metrics.MeanRelativeError()
    >>> metric.update_state([[2.0], [4.0], [np.nan]], [[1.0], [5.0], [9.0]])
    >>> print(float(metric.result()))
    0.375
    """

    def __init__(
        self, name: str = "mean_relative_error", dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        self._direction = "down"

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns relative errors."""
        errors = ops.abs(y_pred - y_true)
        # `divide_no_nan`: missing labels are 0.
        return ops.mean(ops.divide_no_nan(errors, ops.abs(y_true)), axis=-1)

    def missing(self, y_true: Tensor) -> Tensor:
        """Returns where nothing can be a fraction of the label."""
        return ops.any(y_true == 0, axis=-1)
