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
) -> Tensor:
    """Hands the weighting the exact gradient of the meta loss by ω.

    Returns:
        Tensor of shape `(2,)`, bool: whether this replica's meta losses and
        whether the gradient were finite, as far as it is the turn for them.
    """
    weighting, optimizer = model.weighting, model.optimizer

    def update() -> Tensor:
        gradient = replica_sum(
            _gradients.scale(scaled_gradient, 1 / optimizer.scale_loss(1.0))
        )
        if isinstance(optimizer, keras.optimizers.MultiOptimizer):
            raise error(
                f"Weighting {weighting.name!r} needs one learning rate for "
                "its virtual step.",
                received="a MultiOptimizer",
                remedy="Use a single optimizer, or another weighting.",
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
            return evaluate(
                model, theta, batch, clones=True, backward=False
            ).shares

        meta_losses, direction = _gradients.value_and_gradient(
            meta_loss, virtual
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
        if num_replicas() == 1:
            _gradients.run_if(finite, lambda: weighting.update(hypergradient))
        else:  # replicas cannot talk to each other inside a condition
            none = ops.zeros_like(hypergradient)
            weighting.update(ops.where(finite, hypergradient, none))
        found = (meta_losses, hypergradient)
        return ops.stack([_gradients.all_finite([v]) for v in found])

    if weighting.update_every == 1:
        return update()
    if num_replicas() > 1:
        raise error(
            "A weighting can be updated only at every step when several "
            "replicas train together.",
            received=f"update_every={weighting.update_every}",
            remedy="Set update_every=1.",
        )
    due = ops.equal(optimizer.iterations % weighting.update_every, 0)
    return _gradients.run_if(due, update, ops.ones((2,), "bool"))


def scales_losses(optimizer: Any) -> bool:
    """Says whether training is in float16, where overflows are skipped."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
