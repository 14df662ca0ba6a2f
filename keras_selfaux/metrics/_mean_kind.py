"""Which metrics are means of values per sample, and of what values."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._types import Shape, Tensor

# Functions of Keras that treat every sample alone. Others, `circle` among
# them, compare samples, and what a user's function does cannot be known.
_BY_SAMPLE = (
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.categorical_focal_crossentropy,
    keras.losses.categorical_hinge,
    keras.losses.cosine_similarity,
    keras.losses.hinge,
    keras.losses.huber,
    keras.losses.kl_divergence,
    keras.losses.log_cosh,
    keras.losses.mean_absolute_error,
    keras.losses.mean_absolute_percentage_error,
    keras.losses.mean_squared_error,
    keras.losses.mean_squared_logarithmic_error,
    keras.losses.poisson,
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.squared_hinge,
    keras.metrics.binary_accuracy,
    keras.metrics.categorical_accuracy,
    keras.metrics.sparse_categorical_accuracy,
    keras.metrics.sparse_top_k_categorical_accuracy,
    keras.metrics.top_k_categorical_accuracy,
)


class MeanKind(NamedTuple):
    """What a metric is the mean of.

    Attributes:
        function: Gives the values per sample of labels and predictions.
        settings: Its further arguments.
        dtype: The dtype of the sums.
        root: Whether the result is the mean's square root.
    """

    function: Callable[..., Tensor]
    settings: dict[str, Any]
    dtype: str
    root: bool = False

    @property
    def key(self) -> Any:
        """Equal only for metrics that compute the same."""
        settings = [(k, _setting(v)) for k, v in sorted(self.settings.items())]
        return id(self.function), tuple(settings), self.dtype, self.root


def mean_kind(metric: Any, shape: Shape) -> MeanKind | None:
    """Returns what a metric is the mean of, or `None` if it is no mean.

    Args:
        metric: A `keras.metrics.Metric`.
        shape: The shape of the predictions, `(batch, ...)`.
    """
    kind = type(metric)
    if kind is not getattr(keras.metrics, kind.__name__, None):
        return None  # a user's own class may do anything
    if len(shape) < 2:
        return None  # Keras takes the only axis, the batch, for a sample
    if kind is keras.metrics.RootMeanSquaredError:
        settings = {"dtype": metric.dtype}
        return MeanKind(squared_error, settings, metric.dtype, root=True)
    if not issubclass(kind, keras.metrics.MeanMetricWrapper):
        return None
    function, settings = metric._fn, metric._fn_kwargs
    is_plain_wrapper = kind is keras.metrics.MeanMetricWrapper
    if is_plain_wrapper and not any(function is known for known in _BY_SAMPLE):
        return None
    if settings.get("axis", -1) in (0, -len(shape)):
        return None  # compares samples
    return MeanKind(function, settings, metric.dtype)


def squared_error(y_true: Tensor, y_pred: Tensor, dtype: str) -> Tensor:
    """Returns the squared errors of all entries."""
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    if len(y_true.shape) != len(y_pred.shape):  # by a last axis of length 1
        y_true = ops.reshape(y_true, ops.shape(y_pred))
    return ops.square(y_pred - y_true)


def _setting(value: Any) -> Any:
    simple = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if simple else id(value)
