"""What a step met that is not finite, and what is then to become of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux import _gradients
from keras_selfaux._types import Tensor
from keras_selfaux._undo import Snapshot, assign
from keras_selfaux.distribution import num_replicas, replica_sum
from keras_selfaux.metrics import _step_record as watch

CONTINUE = "continue"
SKIP = "skip"
REDUCE_LOSS_SCALE = "reduce_loss_scale"
CHOICES = (CONTINUE, SKIP, REDUCE_LOSS_SCALE)

# Keras halves a loss scale without end, and at 0 a gradient is 0 / 0; it
# doubles it without end, and of an infinite one nothing is finite.
_LEAST_SCALE = 1.0
_LARGEST_SCALE = 2.0**64


class Verdict(NamedTuple):
    """Which numbers of a step are finite; the same on every replica.

    Attributes:
        finite: Tensor of shape `(n + w,)`, bool: False for the losses of
            edges that are not finite, then for what of `WATCHED` is not
            although all before it is.
        is_good: Whether everything is finite: bool scalar.
        is_overflow: Whether losses are finite and gradients are not, as
            when a loss scale is too large: bool scalar.
        has_gradient: Whether the gradient is finite: bool scalar.
        objective: What was minimised.
    """

    finite: Tensor
    is_good: Tensor
    is_overflow: Tensor
    has_gradient: Tensor
    objective: Tensor


def judge(step: Any, gradient: Sequence[Any], meta_finite: Tensor) -> Verdict:
    """Looks at the numbers of a step.

    Args:
        step: A `Differentiated`.
        gradient: One entry per trainable variable.
        meta_finite: What `update_weighting` returned.
    """
    local = [
        ops.isfinite(step.evaluation.additional),
        _gradients.all_finite(gradient),
        *ops.unstack(meta_finite, 2),
    ]
    bad = ops.cast(ops.logical_not(ops.stack(local)), "float32")
    objective, bad = replica_sum([step.total, bad])
    added, has_gradient, *meta = ops.unstack(ops.equal(bad, 0), len(local))
    losses = ops.isfinite(step.losses)
    found = {
        watch.REGULARIZATION: added,
        watch.WEIGHTS: ops.all(ops.isfinite(step.weights)),
        watch.OBJECTIVE: ops.isfinite(objective),
        watch.GRADIENTS: has_gradient,
        watch.META_LOSSES: meta[0],
        watch.HYPERGRADIENTS: meta[1],
    }
    # What follows from the first that is not finite is not to blame.
    blamed: dict[str, Tensor] = {}
    so_far = ops.all(losses)
    for name in watch.WATCHED:
        blamed[name] = ops.logical_and(so_far, ops.logical_not(found[name]))
        so_far = ops.logical_and(so_far, found[name])
    others = ops.stack([blamed[name] for name in watch.WATCHED])
    return Verdict(
        ops.concatenate([losses, ops.logical_not(others)]),
        is_good=so_far,
        is_overflow=ops.logical_or(
            blamed[watch.GRADIENTS], blamed[watch.HYPERGRADIENTS]
        ),
        has_gradient=has_gradient,
        objective=objective,
    )


class Undoing:
    """Undoes a step that is to be skipped.

    Made before the step, it holds what `compile(on_non_finite=...)` says
    must not move.

    Args:
        model: The `SelfAuxModel`, built and compiled.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._state: Snapshot | None = None
        self._scale: Snapshot | None = None
        self._metrics: Snapshot | None = None
        if model.on_non_finite == CONTINUE:
            return
        model._build_compiled()
        _bound_loss_scale(model.optimizer)
        own = _loss_scale_state(model.optimizer)
        kept = {id(variable) for variable in own}
        state = [v for v in model.state_variables if id(v) not in kept]
        self._state = Snapshot(state)
        if model.on_non_finite == SKIP:
            self._scale = Snapshot(own)

    def marked(
        self, gradient: list[Tensor | None], verdict: Verdict
    ) -> list[Tensor | None]:
        """Tells a loss-scaling optimizer of what it would not see."""
        if not isinstance(
            self._model.optimizer, keras.optimizers.LossScaleOptimizer
        ):
            return gradient
        if self._state is not None:
            is_bad = ops.logical_not(verdict.is_good)
        elif num_replicas() > 1:
            is_bad = ops.logical_not(verdict.has_gradient)
        else:
            return gradient
        return _gradients.infinite_where(is_bad, gradient)

    def before_metrics(self, labels: Any, predictions: Any) -> None:
        """Notes the metrics, which may not have existed before."""
        if self._state is None:
            return
        model = self._model
        if not model._compile_metrics.built:
            model._compile_metrics.build(labels, predictions)
        record = model.loss_tracker.training_record
        variables = model.metrics_variables
        self._metrics = Snapshot(v for v in variables if v is not record)

    def undo(self, verdict: Verdict) -> None:
        """Takes the step back if it is to be skipped."""
        for snapshot in (self._state, self._metrics):
            if snapshot is not None:
                snapshot.restore_unless(verdict.is_good)
        if self._scale is not None:
            # The loss scale is not to blame for what is in the data.
            keeps = ops.logical_or(verdict.is_good, verdict.is_overflow)
            self._scale.restore_unless(keeps)


def _bound_loss_scale(optimizer: Any) -> None:
    """Keeps a loss scale where gradients can be read.

    Before the step, which then finds a good scale in a checkpoint, too.
    """
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return
    # Whoever begins beyond these bounds means to.
    least = min(_LEAST_SCALE, optimizer.initial_scale)
    largest = max(_LARGEST_SCALE, optimizer.initial_scale)
    scale = ops.convert_to_tensor(optimizer.dynamic_scale)
    assign([optimizer.dynamic_scale], [ops.clip(scale, least, largest)])


def _loss_scale_state(optimizer: Any) -> list[Any]:
    """Returns what a `LossScaleOptimizer` has beside the optimizer's."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return []
    inner = {id(variable) for variable in optimizer.inner_optimizer.variables}
    return [v for v in optimizer.variables if id(v) not in inner]
