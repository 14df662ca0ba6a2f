"""Affinities: what a step on one task's loss does to another task's.

Matrices are `[target, source]`; an entry that cannot be told from the batch
is NaN.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_selfaux import _gradients
from keras_selfaux._batch import Batch
from keras_selfaux._checks import error
from keras_selfaux._pure_losses import evaluate
from keras_selfaux._rows import Rows
from keras_selfaux._sharing import shared_entries
from keras_selfaux._task_gradients import Recorded, RowPlan, parameter_rows
from keras_selfaux._types import Tensor
from keras_selfaux.graph import TransferGraph

# How many times smaller than in training the loss scale is: a single task's
# gradient has no ω to keep it within float16.
_MARGIN = 64.0


class Affinities(NamedTuple):
    """What one batch says of T tasks: tensors of shape `(T, T)`, float32.

    Attributes:
        exact: By how much a step on the source's loss lowers the target's,
            relative to it; `None` if it was not asked for.
        first_order: The same for a short step, from gradients.
        cosine: The cosines of the gradients.
    """

    exact: Tensor | None
    first_order: Tensor
    cosine: Tensor


class Differentiated(NamedTuple):
    """The primaries' losses on a batch, and their gradients.

    Attributes:
        rows: Row t is the gradient of task t's loss by what tasks share.
        present: Which tasks have labels in the batch: bool, shape `(T,)`.
    """

    rows: Rows
    present: Tensor


def plan_of_primaries(model: Any) -> RowPlan:
    """Plans rows on what the losses of several primaries reach.

    Raises:
        ValueError: If that is nothing.
    """
    tasks = model.transfer_graph.tasks
    plan = RowPlan(shared_entries(model, TransferGraph.empty(tasks)), None)
    if not plan.numbers:
        raise error(
            "Affinities are measured on variables that several tasks share.",
            received="a model whose tasks share none",
            remedy="Share stages of the encoder, and train two tasks or more.",
        )
    return plan


def measure(
    model: Any,
    plan: RowPlan,
    train_data: Any,
    meta_data: Any,
    learning_rate: Tensor,
    *,
    exact: bool,
) -> Affinities:
    """Measures affinities where the model stands, without side effects.

    All losses are evaluated in training mode from the same non-trainable
    state: before and after a step, dropout draws the same mask.

    Args:
        model: The `SelfAuxModel`, built and compiled.
        plan: What `plan_of_primaries` returned.
        train_data: The batch that steps are taken on.
        meta_data: The batch that losses are judged by; `None` for the same.
        learning_rate: Scalar: the length of a step.
        exact: Whether to take the steps, beside their first-order effect.
    """
    theta = [ops.copy(v.value) for v in model.trainable_variables]
    learning_rate = ops.cast(learning_rate, "float32")
    batch = model.as_batch(train_data)
    train = meta = _differentiated(model, theta, batch, plan)
    if meta_data is not None:
        batch = model.as_batch(meta_data)
        meta = _differentiated(model, theta, batch, plan)
    losses = meta.rows.losses
    products = _products(meta.rows, train.rows)
    lengths = [ops.sqrt(ops.diagonal(d.rows.gramian)) for d in (meta, train)]
    cosine = products / (lengths[0][:, None] * lengths[1])
    lowered = products * meta.rows.scale * train.rows.scale * learning_rate
    present = ops.logical_and(meta.present[:, None], train.present)
    # The share of a loss that is none, or below 0, says nothing.
    comparable = ops.logical_and(present, losses[:, None] > 0)
    lookahead = None
    if exact:
        later = _losses_after_steps(
            model, theta, batch, plan, train.rows, learning_rate
        )
        lookahead = _where(comparable, 1.0 - later / losses[:, None])
    return Affinities(
        lookahead,
        _where(comparable, lowered / losses[:, None]),
        _where(present, cosine),
    )


def _differentiated(
    model: Any, theta: Sequence[Tensor], batch: Batch, plan: RowPlan
) -> Differentiated:
    """Evaluates and differentiates the primaries' losses."""
    # In half precision a small gradient becomes 0 unless it is scaled.
    scale = ops.maximum(model.optimizer.scale_loss(1.0) / _MARGIN, 1.0)
    with _gradients.Recording([theta[i] for i in plan.numbers]) as recording:
        evaluation = evaluate(model, theta, batch, clones=False)
        by_task = evaluation.shares * scale
    recorded = Recorded(
        recording,
        theta,
        total=ops.sum(by_task),
        by_task=by_task,
        additional=evaluation.additional,
        shared_features=None,
        loss_scale=scale,
    )
    return Differentiated(
        parameter_rows(recorded, plan), evaluation.losses.counts > 0
    )


def _losses_after_steps(
    model: Any,
    theta: Sequence[Tensor],
    batch: Batch,
    plan: RowPlan,
    rows: Rows,
    learning_rate: Tensor,
) -> Tensor:
    """Returns the losses `[target, source]` after a step on each source."""

    def losses(gradient: Sequence[Tensor]) -> Tensor:
        moved = list(theta)
        for i, slope in zip(plan.numbers, gradient, strict=True):
            value = ops.cast(theta[i], "float32") - learning_rate * slope
            moved[i] = ops.cast(value, theta[i].dtype)
        return evaluate(
            model, moved, batch, clones=False, backward=False
        ).shares

    return ops.transpose(_gradients.mapped(losses, rows.tensors))


def _products(targets: Rows, sources: Rows) -> Tensor:
    """Returns the inner products of rows divided by their scales."""
    if targets is sources:
        return sources.gramian
    total: Tensor = 0.0
    for one, other in zip(targets.tensors, sources.tensors, strict=True):
        first, second = (
            ops.reshape(tensor / rows.scale, (tensor.shape[0], -1))
            for tensor, rows in ((one, targets), (other, sources))
        )
        total = total + ops.matmul(first, ops.transpose(second))
    return total


def _where(known: Tensor, values: Tensor) -> Tensor:
    """Returns values with NaN where they are unknown or not finite."""
    known = ops.logical_and(known, ops.isfinite(values))
    return ops.where(known, values, float("nan"))
