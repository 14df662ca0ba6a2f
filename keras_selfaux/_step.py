"""One training step.

However often the losses are evaluated, state moves once, from the first
evaluation alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux import _gradients, _task_gradients
from keras_selfaux._batch import Batch
from keras_selfaux._bilevel import update_weighting
from keras_selfaux._evaluation import update_metrics
from keras_selfaux._meta_data import PairedBatch
from keras_selfaux._pure_losses import Evaluation, evaluate
from keras_selfaux._rows import Rows
from keras_selfaux._stacking._kinds import StackedLayer
from keras_selfaux._task_gradients import RowPlan
from keras_selfaux._types import Tensor
from keras_selfaux._verdict import Undoing, Verdict, judge
from keras_selfaux.distribution import replica_mean, replica_sum


def train(model: Any, data: Any) -> dict[str, Tensor]:
    """Takes one training step and returns the logs."""
    train_data, meta_data = split_pair(data)
    batch = model.as_batch(train_data)
    model.build(keras.tree.map_structure(lambda v: tuple(v.shape), batch.x))
    undoing = Undoing(model)
    theta = [ops.copy(v.value) for v in model.trainable_variables]
    step = _differentiated(model, theta, batch)
    gradient = step.gradient
    meta_finite = ops.ones((2,), "bool")
    if model.weighting.needs_meta_data:
        meta_batch = model.as_batch(meta_data)
        meta_finite = update_weighting(
            model, theta, gradient, batch, meta_batch
        )
    verdict = judge(step, gradient, meta_finite)
    gradient = _gradients.dense(gradient, _are_stacked(model))
    gradient = undoing.marked(gradient, verdict)
    model.optimizer.apply_gradients(
        zip(gradient, model.trainable_variables, strict=True)
    )
    _tell_weighting(model, step, batch)
    _write_back(step.evaluation.updates, batch.size)
    undoing.before_metrics(batch.y, step.evaluation.predictions)
    _tell_metrics(model, step, batch, verdict)
    undoing.undo(verdict)
    logs: dict[str, Tensor] = model.get_metrics_result()
    return logs


def _tell_weighting(model: Any, step: "Differentiated", batch: Batch) -> None:
    """Lets the weighting learn from the step."""
    later = None
    if model.weighting.needs_later_losses:  # from the same state n as before
        moved = [ops.copy(v.value) for v in model.trainable_variables]
        later = replica_sum(
            evaluate(model, moved, batch, clones=True, backward=False).shares
        )
    model.weighting.observe(
        step.losses,
        step.counts,
        step.weights,
        step.raw_weights,
        later_losses=later,
        rows=step.rows,
    )


def _tell_metrics(
    model: Any, step: "Differentiated", batch: Batch, verdict: Verdict
) -> None:
    """Adds the step to the running losses and metrics."""
    tracker, evaluation = model.loss_tracker, step.evaluation
    count = len(model.transfer_graph.tasks)
    losses = evaluation.losses
    tracker.record_step(verdict.finite)
    tracker.add_weights(step.weights, step.counts > 0)
    tracker.update_state(
        losses.numerators[:count],
        losses.denominators[:count],
        batch.size,
        objective=verdict.objective,
    )
    update_metrics(model, batch, evaluation.predictions, losses.present)


def _write_back(updates: Sequence[tuple[Any, Tensor]], size: Tensor) -> None:
    """Writes state n', the same on every replica."""
    variables = [variable for variable, _ in updates]
    # Keras keeps plain BatchNorm's statistics apart, so that workers would
    # evaluate with other ones than those saved; and those of a replica
    # without samples are NaN.
    values = replica_mean([value for _, value in updates], size)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Differentiated(NamedTuple):
    """The losses of a step and the gradient that the optimizer gets.

    Attributes:
        evaluation: What L(θ, n) returned.
        losses: Tensor of shape `(n,)`: the losses of the global batch.
        counts: Tensor of shape `(n,)`: the numbers of labels in it.
        weights: Tensor of shape `(n,)`: ω.
        raw_weights: The weights of the weighting's units, shape `(u,)`.
        total: What this replica adds to what is minimised.
        gradient: One entry per trainable variable, scaled as losses are in
            float16.
        rows: The rows on shared variables, where the weighting needs them.
    """

    evaluation: Evaluation
    losses: Tensor
    counts: Tensor
    weights: Tensor
    raw_weights: Tensor
    total: Tensor
    gradient: list[Tensor | None]
    rows: Rows | None = None


def _differentiated(
    model: Any, theta: Sequence[Tensor], batch: Batch
) -> Differentiated:
    """Evaluates and differentiates what is minimised."""
    plan = model.row_plan()
    if plan is not None:
        return _with_rows(model, theta, batch, plan)

    def objective(theta: Sequence[Tensor]) -> tuple[Tensor, Any]:
        evaluation = evaluate(model, theta, batch, clones=True)
        found = _weighed(model, evaluation)
        total = ops.sum(found["weights"] * evaluation.shares)
        total = total + evaluation.additional
        scaled = model.optimizer.scale_loss(total)
        return scaled, {**found, "evaluation": evaluation, "total": total}

    found, gradient = _gradients.value_and_gradient(
        objective, theta, batch.size
    )
    return Differentiated(**found, gradient=gradient)


def _with_rows(
    model: Any, theta: Sequence[Tensor], batch: Batch, plan: RowPlan
) -> Differentiated:
    """Differentiates with the gradients of tasks told apart."""
    weighting, aggregator = model.weighting, model.aggregator
    scale = model.optimizer.scale_loss
    with _gradients.Recording(theta, batch.size) as recording:
        evaluation = evaluate(
            model, theta, batch, clones=True, trunk=plan.trunk
        )
        found = _weighed(model, evaluation)
        weighted = found["weights"] * evaluation.shares
        total = ops.sum(weighted) + evaluation.additional
        recorded = _task_gradients.Recorded(
            recording,
            theta,
            total=scale(total),
            by_task=scale(_task_gradients.task_losses(model, weighted)),
            additional=scale(evaluation.additional),
            shared_features=evaluation.shared_features,
            loss_scale=scale(ops.ones(())),
        )
    rows: Any = None
    if weighting.needs_rows or plan.trunk is None:
        rows = _task_gradients.parameter_rows(recorded, plan)
    if aggregator is None:
        gradient = _task_gradients.summed(recorded, range(len(theta)))
    elif plan.trunk is None:
        gradient = _task_gradients.aggregated_parameters(
            recorded, plan, rows, aggregator
        )
    else:
        gradient = _task_gradients.aggregated_features(
            recorded, _task_gradients.feature_rows(recorded), aggregator
        )
    return Differentiated(
        **found,
        evaluation=evaluation,
        total=total,
        gradient=gradient,
        rows=rows if weighting.needs_rows else None,
    )


def _weighed(model: Any, evaluation: Evaluation) -> dict[str, Tensor]:
    """Asks the weighting for ω; once a step, since it may draw."""
    local = [evaluation.shares, evaluation.losses.counts]
    losses, counts = replica_sum([ops.stop_gradient(v) for v in local])
    raw = model.weighting.bounded_weights(losses, counts > 0)
    raw = ops.stop_gradient(raw)
    return {
        "losses": losses,
        "counts": counts,
        "raw_weights": raw,
        "weights": model.weighting.weights_of_edges(raw),
    }


def _are_stacked(model: Any) -> list[bool]:
    """Says which variables hold stacked layers.

    Where few of them are read, or one by several nodes, their gradients come
    in slices. Those of an `Embedding` are left as Keras has them.
    """
    stacked = {
        id(variable)
        for layer in model._flatten_layers()
        if isinstance(layer, StackedLayer)
        for variable in layer.trainable_variables
    }
    return [id(variable) in stacked for variable in model.trainable_variables]


def split_pair(data: Any) -> tuple[Any, Any]:
    """Returns the training and the meta part of a step's data."""
    if isinstance(data, tuple) and isinstance(data[0], PairedBatch):
        data = data[0]  # `train_on_batch` wraps its input once more
    if isinstance(data, PairedBatch):
        return data.train, data.meta
    return data, None
