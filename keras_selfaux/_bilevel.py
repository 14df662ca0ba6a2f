"""The hypergradient: how the meta loss depends on the task weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux import _gradients
from keras_selfaux._batch import Batch
from keras_selfaux._checks import error
from keras_selfaux._pure_losses import evaluate
from keras_selfaux._types import Tensor
from keras_selfaux._undo import Snapshot
from keras_selfaux.distribution import num_replicas, replica_sum

# How many times smaller than in training the loss scale of meta batches is.
_MARGIN = 64.0


class Hypergradient(NamedTuple):
    """The derivative of the meta loss by ω.

    Attributes:
        values: Tensor of shape `(n,)`, the same on every replica.
        is_usable: Whether the weighting may learn from it: bool scalar.
        finite: Tensor of shape `(2,)`, bool: whether this replica's meta
            losses and whether the derivative are finite.
    """

    values: Tensor
    is_usable: Tensor
    finite: Tensor


def update_weighting(
    model: Any,
    theta: Sequence[Tensor],
    scaled_gradient: Sequence[Tensor | None],
    batch: Batch,
    meta_batch: Batch,
) -> Tensor:
    """Hands the weighting the exact gradient of the meta loss by ω.

    Returns:
        What `Hypergradient` has as `finite`, where it is the turn for one;
        else True.
    """
    weighting = model.weighting
    if isinstance(model.optimizer, keras.optimizers.MultiOptimizer):
        raise error(
            f"Weighting {weighting.name!r} needs one learning rate for "
            "its virtual step.",
            received="a MultiOptimizer",
            remedy="Use a single optimizer, or another weighting.",
        )

    def hypergradient() -> Hypergradient:
        return _hypergradient(model, theta, scaled_gradient, batch, meta_batch)

    def update() -> Tensor:
        found = hypergradient()
        _gradients.run_if(
            found.is_usable, lambda: weighting.update(found.values)
        )
        return found.finite

    due = ops.equal(model.optimizer.iterations % weighting.update_every, 0)
    nothing_wrong = ops.ones((2,), "bool")
    if num_replicas() > 1:
        # Replicas cannot talk to each other inside a condition.
        found = hypergradient()
        is_turn = ops.logical_and(due, found.is_usable)
        before = Snapshot(weighting.state_variables)
        # What is no number would stay one in the sums that replicas exchange.
        none = ops.zeros_like(found.values)
        weighting.update(ops.where(is_turn, found.values, none))
        before.restore_unless(is_turn)
        return ops.where(due, found.finite, nothing_wrong)
    if weighting.update_every == 1:
        return update()
    return _gradients.run_if(due, update, nothing_wrong)


def _hypergradient(
    model: Any,
    theta: Sequence[Tensor],
    scaled_gradient: Sequence[Tensor | None],
    batch: Batch,
    meta_batch: Batch,
) -> Hypergradient:
    """Differentiates the meta loss after a virtual step."""
    optimizer = model.optimizer
    gradient = replica_sum(
        _gradients.scale(scaled_gradient, 1 / optimizer.scale_loss(1.0))
    )
    rate = ops.cast(optimizer.learning_rate, "float32")
    # In half precision a small gradient becomes 0 unless it is scaled.
    # Less than in training, where weights ω below 1 leave more room.
    meta_scale = ops.maximum(optimizer.scale_loss(1.0) / _MARGIN, 1.0)
    virtual = _gradients.descend(theta, gradient, rate)

    def meta_loss(theta: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        shares = evaluate(model, theta, meta_batch, clones=False).shares
        return ops.sum(shares) * meta_scale, shares

    def losses(theta: Sequence[Tensor]) -> Tensor:
        return evaluate(model, theta, batch, clones=True, backward=False).shares

    meta_losses, direction = _gradients.value_and_gradient(
        meta_loss, virtual, meta_batch.size
    )
    direction = _gradients.scale(direction, 1 / meta_scale)
    slopes = _gradients.directional_derivative(
        losses,
        theta,
        replica_sum(direction),
        rescale=scales_losses(optimizer),
    )
    values = -rate * replica_sum(slopes)
    # An overflow, as mixed_float16 has now and then, must not last.
    # Squares, because an optimizer of ω may keep them; the gradient,
    # because the weights of clones do not reach the meta loss.
    judged = gradient if scales_losses(optimizer) else []
    finite = [_gradients.all_finite([v]) for v in (meta_losses, values)]
    return Hypergradient(
        values,
        is_usable=_gradients.all_finite([ops.square(values), *judged]),
        finite=ops.stack(finite),
    )


def scales_losses(optimizer: Any) -> bool:
    """Says whether training is in float16, where overflows are skipped."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
