"""`PixelMean`: a mean over all labelled pixels of a data set."""

from abc import abstractmethod
from typing import Any

import keras
from keras import ops

from keras_selfaux._types import Shape, Tensor
from keras_selfaux.metrics._samples import with_rank


class PixelMetric(keras.metrics.Metric):
    """A metric whose state is sums over all pixels seen.

    Results are those of the whole data set, however it is cut into batches
    and replicas.
    """

    def _add_sums(self, name: str, shape: Shape = ()) -> Any:
        # Data sets have more pixels than float32 can count.
        return self.add_variable(
            shape=shape, initializer="zeros", dtype="float64", name=name
        )


class PixelMean(PixelMetric):
    """The mean of a value per pixel, over all pixels with a label.

    A label is missing where one of its entries is NaN, where
    `missing` says so, or where the sample weight is 0. Without any label
    the result is 0, as for the means of Keras.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result. Defaults to Keras's float dtype.
    """

    def __init__(self, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self._add_sums("total")
        self.count = self._add_sums("count")

    @abstractmethod
    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns a value per pixel, of shape `(batch, ...)`."""

    @abstractmethod
    def missing(self, y_true: Tensor) -> Tensor:
        """Says of labels without NaN which ones are missing, per pixel."""

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: Labels of shape `(batch, ..., n)`, or without the last
                axis if that is of length 1.
            y_pred: Predictions of shape `(batch, ..., n)`.
            sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
                `(batch, ..., 1)`. Defaults to 1.
        """
        y_pred = ops.cast(y_pred, "float32")
        y_true, absent = without_nan(
            with_rank(ops.cast(y_true, "float32"), len(y_pred.shape))
        )
        absent = ops.logical_or(absent, self.missing(y_true))
        weights = pixel_weights(sample_weight, absent)
        values = self.values(y_true, y_pred)
        # Selecting instead of multiplying: 0 * NaN would be NaN.
        values = ops.where(weights == 0, 0.0, values * weights)
        self.total.assign_add(ops.sum(ops.cast(values, "float64")))
        self.count.assign_add(ops.sum(ops.cast(weights, "float64")))

    def result(self) -> Tensor:
        """Returns the mean."""
        mean = ops.divide_no_nan(
            ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count)
        )
        return ops.cast(mean, self.dtype)


def without_nan(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns labels with 0 for NaN, and which pixels had one."""
    unknown = ops.isnan(labels)
    labels = ops.where(unknown, ops.zeros_like(labels), labels)
    return labels, ops.any(unknown, axis=-1)


def pixel_weights(sample_weight: Tensor | None, absent: Tensor) -> Tensor:
    """Returns a weight per pixel, 0 where there is no label.

    Args:
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`; `None` for 1.
        absent: Which pixels have no label, of shape `(batch, ...)`.
    """
    weights = ops.cast(ops.logical_not(absent), "float32")
    if sample_weight is None:
        return weights
    given = ops.cast(sample_weight, "float32")
    return weights * with_rank(given, len(absent.shape))
