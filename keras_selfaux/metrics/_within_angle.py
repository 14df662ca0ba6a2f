"""`WithinAngle`: how many directions are nearly right."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_within
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._angles import AngleMean


@register
class WithinAngle(AngleMean):
    """The share of surface normals that are wrong by less than some degrees.

    A fraction from 0 to 1. Pixels are pooled over the whole data set; labels
    that are NaN or of length zero, or whose weight is 0, count as missing.
    Without any label the result is 0. Usual are 11.25, 22.5 and 30 degrees.

    Reference: Fouhey, Gupta, Hebert, 2013 ("Data-driven 3D primitives for
    single image understanding").

    Args:
        degrees: The angle that errors must be smaller than.
        name: Name of the metric. Defaults to the angle, as in
            `"within_11.25"`.
        dtype: Dtype of the result. Defaults to Keras's float dtype.

    Call arguments:
        y_true: Vectors of shape `(batch, ..., 3)`.
        y_pred: Vectors of shape `(batch, ..., 3)`.
        sample_weight: Weights of shape `(batch,)`, `(batch, ...)` or
            `(batch, ..., 1)`. Defaults to 1.

    Example:

    >>> metric = keras_selfaux.metrics.WithinAngle(11.25)
    >>> metric.update_state(
    ...     [[1.0, 0, 0], [1.0, 0, 0]], [[9.0, 1, 0], [9.0, 2, 0]]
    ... )
    >>> print(metric.name, float(metric.result()))
    within_11.25 0.5

    Raises:
        ValueError: If `degrees` is not above 0 and at most 180.
    """

    def __init__(
        self, degrees: float, name: str | None = None, dtype: Any = None
    ) -> None:
        check_within("degrees", degrees, "(0, 180]")
        super().__init__(name or f"within_{degrees:g}", dtype)
        self.degrees = degrees
        self._direction = "up"

    def of_degrees(self, angles: Tensor) -> Tensor:
        """Returns 1 for small angles and 0 for others."""
        return ops.cast(angles < self.degrees, "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "degrees": self.degrees}
