"""`MeanIoU`: how well predicted regions cover the true ones."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_count, error
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._pixels import (
    PixelMetric,
    pixel_weights,
    without_nan,
)
from keras_selfaux.metrics._samples import with_rank


@register
class MeanIoU(PixelMetric):
    """The mean over classes of intersection over union.

    A class's intersection is the pixels that are of it and predicted to be,
    its union those that are either; both are counted over the whole data
    set. A class with an empty union is left out of the mean, while one that
    is only predicted has an intersection of nothing and counts as 0. Without
    any label the result is 0.

    It differs from `keras.metrics.MeanIoU` in reading scores, in taking
    sample weights of any form without rounding them to integers, and in
    counting exactly beyond float32's 16 million.

    Reference: Everingham et al., 2010 ("The Pascal visual object classes
    (VOC) challenge").

    Args:
        num_classes: The number of classes.
        ignore_class: A label that is not to be counted; neither are NaN and
            any other label that is no class, such as 255. Defaults to
            `None`.
        name: Name of the metric. Defaults to `"mean_iou"`.
        dtype: Dtype of the result. Defaults to Keras's float dtype.

    Call arguments:
        y_true: Classes of shape `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Scores of shape `(batch, ..., num_classes)`: logits or
            probabilities.
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`. Defaults to 1.

    Example:

    >>> metric = keras_selfaux.metrics.MeanIoU(3)
    >>> scores = np.eye(3)[[0, 1, 1, 1]]
    >>> metric.update_state([0, 1, 0, 255], scores)
    >>> print(float(metric.result()))
    0.5

    Raises:
        ValueError: If `num_classes` is not a positive integer, or not the
            number of scores.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        name: str = "mean_iou",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        check_count("num_classes", num_classes, least=1)
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self._direction = "up"
        # Rows are true classes, columns predicted ones.
        self.confusion = self._add_sums("confusion", (num_classes, num_classes))

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Adds a batch."""
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != self.num_classes:
            raise error(
                f"`MeanIoU` of {self.num_classes} classes needs as many scores "
                "per pixel.",
                received=f"predictions of shape {tuple(y_pred.shape)}",
                remedy="Pass logits or probabilities (batch, ..., classes).",
            )
        predicted = ops.argmax(y_pred, axis=-1)
        # Classes are small integers, so that floats hold them.
        labels = with_rank(ops.cast(y_true, "float32"), len(predicted.shape))
        labels, absent = without_nan(ops.expand_dims(labels, -1))
        labels = ops.cast(ops.squeeze(labels, -1), "int32")
        for outside in (labels < 0, labels >= self.num_classes):
            absent = ops.logical_or(absent, outside)
        if self.ignore_class is not None:
            absent = ops.logical_or(absent, labels == self.ignore_class)
        weights = pixel_weights(sample_weight, absent)
        cells = labels * self.num_classes + ops.cast(predicted, "int32")
        counts = ops.segment_sum(
            ops.reshape(ops.cast(weights, "float64"), (-1,)),
            ops.reshape(ops.where(absent, 0, cells), (-1,)),
            num_segments=self.num_classes**2,
        )
        self.confusion.assign_add(ops.reshape(counts, self.confusion.shape))

    def result(self) -> Tensor:
        """Returns the mean over the classes that there are."""
        confusion = ops.convert_to_tensor(self.confusion)
        both = ops.diagonal(confusion)
        either = ops.sum(confusion, 0) + ops.sum(confusion, 1) - both
        total = ops.sum(ops.divide_no_nan(both, either))
        count = ops.sum(ops.cast(either > 0, "float64"))
        return ops.cast(ops.divide_no_nan(total, count), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
        }
