"""`CosineDistance`: how far directions are from each other."""

from typing import Any

import keras
from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor

_SHORTEST = 1e-4


@register
class CosineDistance(keras.losses.Loss):
    """One minus the cosine of the angle between label and prediction.

    The loss for surface normals: 0 where directions are the same, 1 where
    they are at right angles, 2 where they are opposite. Only directions
    count, not the lengths of vectors. A prediction of length zero has no
    direction and a loss of 1; its gradient is finite, since vectors shorter
    than 0.0001 are divided by that instead of their length.

    Unlike `keras.losses.CosineSimilarity`, it is positive, as weightings
    such as `"geometric_loss"` want it, and computed in float32 whatever the
    dtype of the predictions.

    Args:
        reduction: As for every loss of Keras. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"cosine_distance"`.
        **kwargs: `dtype`, as for every loss of Keras.

    Call arguments:
        y_true: Vectors of shape `(..., n)`. Within a `SelfAuxModel`, NaN
            where a label is missing.
        y_pred: Vectors of shape `(..., n)`, of any length.

    Returns:
        Before the reduction, values of shape `(...)`: one per pixel.

    Example:

    >>> loss = keras_selfaux.losses.CosineDistance(reduction="none")
    >>> y_true = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    >>> y_pred = np.array([[5.0, 0.0], [0.0, 0.2], [0.0, 0.0]])
    >>> print(np.array(loss(y_true, y_pred)))
    [0. 1. 1.]
    """

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "cosine_distance",
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns a value per vector."""
        cosine = ops.sum(_directions(y_true) * _directions(y_pred), axis=-1)
        return 1.0 - cosine


def _directions(vectors: Tensor) -> Tensor:
    """Divides vectors by their lengths, unless they are too short."""
    vectors = ops.cast(vectors, "float32")
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # The root is taken of what is positive: at zero it has no gradient.
    return vectors * ops.rsqrt(ops.maximum(squares, _SHORTEST**2))
