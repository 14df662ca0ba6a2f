"""Rows: the gradients of the tasks' losses, one beside the other."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from keras_selfaux._types import Tensor


class Rows(NamedTuple):
    """The K rows of a step: row i is the gradient of task i's loss.

    A task's loss is the ω-weighted sum of the losses on its labels, those
    of its clones included.

    Attributes:
        tensors: Tensors of shape `(K, ...)`, float32, which side by side
            make up the rows: one per shared variable, with 0 where an entry
            is not shared, or the one feature tensor. Summed over replicas,
            but for features, of which every replica has its own samples.
        losses: Tensor of shape `(K,)`, float32: the tasks' losses.
        gramian: Tensor of shape `(K, K)`, float32: the inner products of
            the rows divided by `scale`.
        scale: Scalar, float32: a power of two near the largest entry of
            all rows, or 1 if there is none. Dividing by it keeps squares
            of tiny and huge entries within float32.
    """

    tensors: list[Tensor]
    losses: Tensor
    gramian: Tensor
    scale: Tensor

    @property
    def present(self) -> Tensor:
        """Which rows are not zero: bool, shape `(K,)`."""
        return ops.diagonal(self.gramian) > 0


def rows_of(tensors: Sequence[Tensor], losses: Tensor) -> Rows:
    """Returns rows that are known in full, with their Gramian."""
    scale = scale_of(tensors)
    return Rows(list(tensors), losses, gramian(tensors, scale), scale)


def gramian(tensors: Sequence[Tensor], scale: Tensor) -> Tensor:
    """Returns the inner products of the rows divided by a number.

    Args:
        tensors: Tensors of shape `(K, ...)`, summed over one by one: the
            rows are never laid out as a single matrix.
        scale: What to divide the rows by.

    Returns:
        Tensor of shape `(K, K)`, float32.
    """
    total: Tensor = 0.0
    for tensor in tensors:
        count = tensor.shape[0]
        flat = ops.reshape(ops.cast(tensor, "float32") / scale, (count, -1))
        total = total + ops.matmul(flat, ops.transpose(flat))
    return total


def scale_of(tensors: Sequence[Tensor]) -> Tensor:
    """Returns a power of two near the largest entry, or 1 without one.

    Dividing by a power of two rounds nothing.
    """
    largest = ops.max(
        ops.stack([ops.cast(ops.max(ops.abs(t)), "float32") for t in tensors])
    )
    is_usual = ops.logical_and(largest > 1e-37, largest < 3e38)
    exponent = ops.log(ops.where(is_usual, largest, 1.0)) / math.log(2)
    # Beyond these, the power itself or its inverse leaves float32.
    return ops.power(2.0, ops.clip(ops.round(exponent), -120.0, 120.0))


def combined(tensors: Sequence[Tensor], coefficients: Tensor) -> list[Tensor]:
    """Returns the sum of the rows times coefficients of shape `(K,)`."""
    return [
        ops.tensordot(ops.cast(coefficients, tensor.dtype), tensor, axes=1)
        for tensor in tensors
    ]
