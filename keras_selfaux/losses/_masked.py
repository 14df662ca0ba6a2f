"""One loss, several predictions at once, missing labels left out."""

from typing import NamedTuple

import keras
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor


class MaskedLoss(NamedTuple):
    """A loss as a fraction, so that batches and replicas can be pooled.

    Attributes:
        numerator: Tensor of shape `(N,)`, float32: sums over present labels.
        denominator: Tensor of shape `(N,)`, float32: what to divide by.
        count: Tensor of shape `(N,)`, float32: how many labels are present.
        present: Tensor of shape `(N, batch, ...)`, bool, or `None` if no
            label can be missing.
    """

    numerator: Tensor
    denominator: Tensor
    count: Tensor
    present: Tensor | None


class MaskedValues(NamedTuple):
    """The values of a loss before they are pooled.

    Attributes:
        values: Tensor of shape `(N, batch, ...)`, float32: 0 where missing.
        weights: The same shape: sample weights, 0 where missing.
        ones: The same shape: 1 for every label present, 0 where missing.
        present: The same as bool, or `None` if no label can be missing.
    """

    values: Tensor
    weights: Tensor
    ones: Tensor
    present: Tensor | None


def masked_loss(
    loss: keras.losses.Loss,
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> MaskedLoss:
    """Computes a loss for N predictions of one shape at once.

    The value of a loss is `numerator / denominator`: for
    `"sum_over_batch_size"` (and `"mean"`) the weighted sum over the number
    of labels present, for `"mean_with_sample_weight"` over the sum of their
    weights, and for `"sum"` the sum itself. A label is what the loss gives
    one value for; it is missing if any of its entries is NaN.

    Args:
        loss: The loss; only its `call` and `reduction` are used.
        y_true: Labels of shape `(N, batch, ...)`.
        y_pred: Predictions of shape `(N, batch, ...)`.
        sample_weight: Weights of shape `(N, batch)` or `(N, batch, ...)`;
            0 marks a missing label. Defaults to 1.
        mask: Keras's mask of the predictions, of shape `(N, batch, ...)`;
            what it leaves out counts as missing. Defaults to none.

    Returns:
        A `MaskedLoss`.

    Raises:
        ValueError: If the loss does not give one value per sample.
    """
    found = masked_values(loss, y_true, y_pred, sample_weight, mask)
    fraction = pooled(loss.reduction, found, batch_axis=1)
    return MaskedLoss(*fraction, found.present)


def masked_values(
    loss: keras.losses.Loss,
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> MaskedValues:
    """Computes what `masked_loss` pools; see there."""
    y_true, y_pred = _aligned(y_true, y_pred)
    missing = None
    if keras.backend.is_float_dtype(y_true.dtype):
        missing = ops.isnan(y_true)
        y_true = ops.where(missing, ops.zeros_like(y_true), y_true)
    values, ignored = _values(loss, y_true, y_pred)
    rank = len(values.shape)
    present = None if ignored is None else ops.logical_not(ignored)
    if missing is not None:
        axes = tuple(range(rank, len(missing.shape)))
        missing = ops.any(missing, axis=axes) if axes else missing
        present = _both(present, ops.logical_not(missing))
    if mask is not None:
        present = _both(present, ops.cast(_expanded(mask, values), "bool"))
    if sample_weight is not None:
        sample_weight = _expanded(ops.cast(sample_weight, "float32"), values)
        present = _both(present, ops.not_equal(sample_weight, 0.0))
    ones = ops.ones_like(values)
    weights = ones if sample_weight is None else sample_weight * ones
    if present is not None:
        present = ops.logical_and(present, ops.ones_like(values, dtype="bool"))
        zeros = ops.zeros_like(values)
        # Selecting instead of multiplying: 0 * NaN would be NaN.
        values = ops.where(present, values, zeros)
        weights = ops.where(present, weights, zeros)
        ones = ops.where(present, ones, zeros)
    return MaskedValues(values, weights, ones, present)


def pooled(
    reduction: str, found: MaskedValues, batch_axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums numerator, denominator and count from `batch_axis` on.

    Args:
        reduction: The loss's; with `"sum"`, every denominator is 1.
        found: The values to pool.
        batch_axis: The first axis to sum over.
    """
    axes = tuple(range(batch_axis, len(found.values.shape)))
    numerator = ops.sum(found.values * found.weights, axis=axes)
    count = ops.sum(found.ones, axis=axes)
    if reduction == "sum":
        denominator = ops.ones_like(numerator)
    elif reduction == "mean_with_sample_weight":
        denominator = ops.sum(found.weights, axis=axes)
    else:
        denominator = count
    return numerator, denominator, count


def _values(
    loss: keras.losses.Loss, y_true: Tensor, y_pred: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Returns values of shape `(N, batch, ...)`, and what the loss ignored.

    The N predictions are put to the loss as one long batch, so that any
    loss works that treats samples alone.
    """
    count, batch = ops.shape(y_pred)[:2]
    flat = loss.call(
        ops.cast(_folded(y_true), loss.dtype),
        ops.cast(_folded(y_pred), loss.dtype),
    )
    if len(flat.shape) == 0:
        raise error(
            f"Loss {loss.name!r} gives one value for a whole batch, so that "
            "missing labels cannot be left out.",
            received="a scalar",
            remedy="Use a loss that reduces over the last axes only (for "
            "example `Dice(axis=(1, 2, 3))`).",
        )
    mask = getattr(flat, "_keras_mask", None)
    shape = (count, batch, *ops.shape(flat)[1:])
    values = ops.cast(ops.reshape(flat, shape), "float32")
    if mask is None:
        return values, None
    return values, ops.logical_not(ops.reshape(mask, shape))


def _folded(values: Tensor) -> Tensor:
    shape = ops.shape(values)
    return ops.reshape(values, (-1, *shape[2:]))


def _aligned(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Adds or removes a last axis of length 1, as Keras's losses do."""
    if len(y_pred.shape) == 2:  # predictions (N, batch): a number each
        y_pred = ops.expand_dims(y_pred, -1)
    rank_true, rank_pred = len(y_true.shape), len(y_pred.shape)
    if rank_true == rank_pred - 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, -1), y_pred
    if rank_true == rank_pred + 1 and y_true.shape[-1] == 1:
        return ops.squeeze(y_true, -1), y_pred
    return y_true, y_pred


def _expanded(weights: Tensor, values: Tensor) -> Tensor:
    """Gives weights of shape `(N, batch, ...)` the rank of the values."""
    extra = len(weights.shape) - len(values.shape)
    if extra > 0 and all(size == 1 for size in weights.shape[-extra:]):
        return ops.squeeze(weights, tuple(range(-extra, 0)))
    for _ in range(-extra):
        weights = ops.expand_dims(weights, -1)
    return weights


def _both(first: Tensor | None, second: Tensor) -> Tensor:
    return second if first is None else ops.logical_and(first, second)
