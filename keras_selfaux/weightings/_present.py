"""Sums over the entries that are present, as if there were no others.

`present` is a bool tensor of shape `(u,)`, like all others here. Nothing
absent, not even NaN, has an influence, and nothing is divided by zero.
"""

from keras import ops

from keras_selfaux._types import Tensor


def count(present: Tensor) -> Tensor:
    """Returns how many are present: float32 scalar."""
    return ops.sum(ops.cast(present, "float32"))


def total(values: Tensor, present: Tensor) -> Tensor:
    """Returns the sum of the values present: scalar."""
    return ops.sum(ops.where(present, values, 0.0))


def mean(values: Tensor, present: Tensor) -> Tensor:
    """Returns the mean of the values present, 0 of none: scalar."""
    return ops.divide_no_nan(total(values, present), count(present))


def softmax(logits: Tensor, present: Tensor) -> Tensor:
    """Returns the softmax of the logits present; the others have 0."""
    largest = ops.max(ops.where(present, logits, -3e38))
    powers = ops.where(present, ops.exp(logits - largest), 0.0)
    return ops.divide_no_nan(powers, ops.sum(powers))
