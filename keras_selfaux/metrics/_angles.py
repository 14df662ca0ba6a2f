"""Angles between vectors, and the means that are taken of them."""

import math
from abc import abstractmethod

from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor
from keras_selfaux.metrics._pixels import PixelMean

_DEGREES = 180.0 / math.pi


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """Returns angles from 0 to 180 degrees; 90 to a vector of length zero.

    Args:
        first: Vectors of shape `(..., 3)`, float32.
        second: Vectors of shape `(..., 3)`, float32.

    Returns:
        Angles of shape `(...)`.

    Raises:
        ValueError: If vectors have other than three entries.
    """
    for vectors in (first, second):
        if vectors.shape[-1] != 3:
            raise error(
                "Angles are measured between vectors of three entries.",
                received=f"vectors of shape {tuple(vectors.shape)}",
                remedy="Pass labels and predictions (batch, ..., 3).",
            )
    first, second = _scaled(first), _scaled(second)
    dot = ops.sum(first * second, axis=-1)
    cross = ops.sqrt(ops.sum(ops.square(ops.cross(first, second)), axis=-1))
    # Unlike the arc cosine, exact to float32's digits near 0 and 180 degrees.
    angles = ops.arctan2(cross, dot) * _DEGREES
    # Where the product of both is zero, so is the length of one of them.
    return ops.where(ops.logical_and(cross == 0, dot == 0), 90.0, angles)


def no_direction(vectors: Tensor) -> Tensor:
    """Returns which vectors of `(..., n)` are of length zero."""
    return ops.all(vectors == 0, axis=-1)


def _scaled(vectors: Tensor) -> Tensor:
    """Scales the largest entry to 1: squares of others may not exist."""
    largest = ops.max(ops.abs(vectors), axis=-1, keepdims=True)
    return ops.divide_no_nan(vectors, largest)


class AngleMean(PixelMean):
    """The mean of something about the angles between vectors."""

    @abstractmethod
    def of_degrees(self, angles: Tensor) -> Tensor:
        """Returns the value to take the mean of."""

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns a value per angle."""
        return self.of_degrees(degrees_between(y_true, y_pred))

    def missing(self, y_true: Tensor) -> Tensor:
        """Returns where labels have no direction."""
        return no_direction(y_true)
