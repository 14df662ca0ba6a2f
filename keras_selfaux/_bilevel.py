"""The hypergradient: how the meta loss depends on the task weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux import _gradients
from keras_selfaux._batch import Batch
from keras_selfaux._checks import error
from keras_selfaux._pure_losses import evaluate
from keras_selfaux._types import Tensor
from keras_selfaux.distribution import num_replicas, replica_sum

# How many times smaller than in training the loss scale of meta batches is.
_MARGIN = 64.0


def update_weighting(
    model: Any,
    theta: Sequence[Tensor],
    scaled_gradient: Sequence[Tensor | None],
    batch: Batch,
    meta_batch: Batch,
) -> None:
    """Hands the weighting the exact gradient of the meta loss by ω."""
    weighting = model.weighting
    if isinstance(model.optimizer, keras.optimizers.MultiOptimizer):
        raise error(
            f"Weighting {weighting.name!r} needs one learning rate for "
            "its virtual step.",
            received="a MultiOptimizer",
            remedy="Use a single optimizer, or another weighting.",
        )
    due = ops.equal(model.optimizer.iterations % weighting.update_every, 0)

    def hypergradient() -> tuple[Tensor, Tensor]:
        return _hypergradient(model, theta, scaled_gradient, batch, meta_batch)

    def update() -> None:
        gradient, finite = hypergradient()
        _gradients.run_if(finite, lambda: weighting.update(gradient))

    if num_replicas() > 1:
        # Replicas cannot talk to each other inside a condition.
        gradient, finite = hypergradient()
        _update_where(ops.logical_and(due, finite), weighting, gradient)
    elif weighting.update_every == 1:
        update()
    else:
        _gradients.run_if(due, update)


def _hypergradient(
    model: Any,
    theta: Sequence[Tensor],
    scaled_gradient: Sequence[Tensor | None],
    batch: Batch,
    meta_batch: Batch,
) -> tuple[Tensor, Tensor]:
    """Returns the derivative by ω, and whether it may be used."""
    optimizer = model.optimizer
    gradient = replica_sum(
        _gradients.scale(scaled_gradient, 1 / optimizer.scale_loss(1.0))
    )
    rate = ops.cast(optimizer.learning_rate, "float32")
    # In half precision a small gradient becomes 0 unless it is scaled.
    # Less than in training, where weights ω below 1 leave more room.
    meta_scale = ops.maximum(optimizer.scale_loss(1.0) / _MARGIN, 1.0)
    virtual = _gradients.descend(theta, gradient, rate)

    def meta_loss(theta: Sequence[Tensor]) -> tuple[Tensor, None]:
        shares = evaluate(model, theta, meta_batch, clones=False).shares
        return ops.sum(shares) * meta_scale, None

    def losses(theta: Sequence[Tensor]) -> Tensor:
        return evaluate(model, theta, batch, clones=True, backward=False).shares

    _, direction = _gradients.value_and_gradient(
        meta_loss, virtual, meta_batch.size
    )
    direction = _gradients.scale(direction, 1 / meta_scale)
    slopes = _gradients.directional_derivative(
        losses,
        theta,
        replica_sum(direction),
        rescale=scales_losses(optimizer),
    )
    hypergradient = -rate * replica_sum(slopes)
    # An overflow, as mixed_float16 has now and then, must not last.
    # Squares, because an optimizer of ω may keep them; the gradient,
    # because the weights of clones do not reach the meta loss.
    judged = gradient if scales_losses(optimizer) else []
    finite = _gradients.all_finite([ops.square(hypergradient), *judged])
    return hypergradient, finite


def _update_where(condition: Tensor, weighting: Any, gradient: Tensor) -> None:
    """Updates a weighting, and takes it back unless the condition holds."""
    optimizers = [
        part
        for part in vars(weighting).values()
        if isinstance(part, keras.optimizers.Optimizer)
    ]
    state = [
        *weighting.variables,
        *(variable for part in optimizers for variable in part.variables),
    ]
    before = [ops.copy(ops.convert_to_tensor(v)) for v in state]
    # What is no number would stay one in the sums that replicas exchange.
    none = ops.zeros_like(gradient)
    weighting.update(ops.where(condition, gradient, none))
    for variable, old in zip(state, before, strict=True):
        now = ops.convert_to_tensor(variable)
        variable.assign(ops.where(condition, now, old))


def scales_losses(optimizer: Any) -> bool:
    """Says whether training is in float16, where overflows are skipped."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
