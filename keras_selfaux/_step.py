"""One training step.

The step follows one rule: L(θ, n), the vector of all losses, is a pure
function of the weights θ and the non-trainable state n. However often it is
evaluated, state moves once, from the first evaluation alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux import _gradients, _task_gradients
from keras_selfaux._batch import Batch, as_batch
from keras_selfaux._checks import error
from keras_selfaux._evaluation import (
    regularization,
    shares_of,
    update_metrics,
)
from keras_selfaux._meta_data import PairedBatch
from keras_selfaux._objective import EdgeLosses
from keras_selfaux._rematerialization import rematerializing
from keras_selfaux._rows import Rows
from keras_selfaux._stacking import NamedNodes
from keras_selfaux._stacking._layer_stack import run_in_training_mode
from keras_selfaux._task_gradients import RowPlan
from keras_selfaux._trunk import Trunk
from keras_selfaux._types import Edge, Task, Tensor
from keras_selfaux.distribution import num_replicas, replica_sum

# How many times smaller than in training the loss scale of meta batches is.
_MARGIN = 64.0


class Evaluation(NamedTuple):
    """What L(θ, n) returns.

    Attributes:
        losses: The losses as fractions, as far as this replica knows them.
        shares: Tensor of shape `(n,)`: what this replica adds to each loss.
        additional: What this replica adds to the regularisation.
        predictions: `{task: prediction}`.
        updates: Pairs of a non-trainable variable and its new value.
        shared_features: What the trunk returned, if it was asked for.
    """

    losses: EdgeLosses
    shares: Tensor
    additional: Tensor
    predictions: dict[Task, Tensor]
    updates: list[tuple[Any, Tensor]]
    shared_features: Tensor | None = None


def evaluate(
    model: Any,
    theta: Sequence[Tensor],
    batch: Batch,
    *,
    clones: bool,
    backward: bool = True,
    trunk: Trunk | None = None,
) -> Evaluation:
    """Evaluates L(θ, n) in training mode, without side effects.

    Args:
        model: The `SelfAuxModel`, built and compiled.
        theta: Values for its trainable variables.
        batch: The data.
        clones: Whether to compute the clones; without, there are the
            primaries' losses alone.
        backward: Whether the gradient is asked for: only then is there
            anything to gain from a `keras.RematScope`. Defaults to `True`.
        trunk: What to run the encoder by, where the features that tasks
            share are asked for.
    """
    count = len(model.transfer_graph.tasks)
    edges = model.weighting.edges if clones else model.weighting.edges[:count]

    def forward(x: Any) -> tuple[Any, ...]:
        if trunk is None:
            features, shared = model.features(x, training=True), None
        else:
            features, shared = trunk(x, training=True)
        found = _losses_of(model, features, batch, edges, clones=clones)
        return (*found, shared)

    mapping = list(zip(model.trainable_variables, theta, strict=True))
    with (
        keras.StatelessScope(mapping, collect_losses=True) as scope,
        rematerializing(backward),
    ):
        predictions, losses, shared = run_in_training_mode(forward, batch.x)
        additional = regularization(model.losses)
    updates = [
        (variable, value)
        for variable in model.non_trainable_variables
        if (value := scope.get_current_value(variable)) is not None
    ]
    shares = shares_of(losses, model.edge_scales[: len(edges)])
    return Evaluation(losses, shares, additional, predictions, updates, shared)


def _losses_of(
    model: Any,
    features: NamedNodes,
    batch: Batch,
    edges: Sequence[Edge],
    *,
    clones: bool,
) -> tuple[dict[Task, Tensor], EdgeLosses]:
    """Returns the primaries' predictions and the losses of the edges."""
    bank, objective, single = model.head_bank, model.objective, batch.single
    by_sample = clones and objective.is_uniform and bank.runs_per_sample
    if by_sample and single is not None:
        # Nothing but metrics asks for these, and mostly nobody does.
        primaries = bank.primaries(features, training=True)
        outputs = bank.per_sample(features, single.task, training=True)
        return bank.by_task(primaries), objective.of_single_tasks(
            outputs, single, edges
        )
    others = []
    if clones:
        primaries, others = bank.all_outputs(features, training=True)
    else:
        primaries = bank.primaries(features, training=True)
    losses = objective(
        [*primaries, *others], batch.y, batch.sample_weight, edges
    )
    return bank.by_task(primaries), losses


def train(model: Any, data: Any) -> dict[str, Tensor]:
    """Takes one training step and returns the logs."""
    train_data, meta_data = split_pair(data)
    batch = as_batch(train_data, model.transfer_graph.tasks)
    model.build(keras.tree.map_structure(lambda v: tuple(v.shape), batch.x))
    theta = [ops.copy(v.value) for v in model.trainable_variables]
    optimizer, weighting = model.optimizer, model.weighting
    step = _differentiated(model, theta, batch)
    gradient = step.gradient
    if weighting.needs_meta_data:
        meta_batch = as_batch(meta_data, model.transfer_graph.tasks)
        _update_weighting(model, theta, gradient, batch, meta_batch)
    if _scales_losses(optimizer) and num_replicas() > 1:
        gradient = _gradients.with_overflow_shared(gradient)
    optimizer.apply_gradients(
        zip(gradient, model.trainable_variables, strict=True)
    )
    later = None
    if weighting.needs_later_losses:  # from the same state n as before
        moved = [ops.copy(v.value) for v in model.trainable_variables]
        later = replica_sum(
            evaluate(model, moved, batch, clones=True, backward=False).shares
        )
    weighting.observe(
        step.losses,
        step.counts,
        step.weights,
        step.raw_weights,
        later_losses=later,
        rows=step.rows,
    )
    for variable, value in step.evaluation.updates:
        variable.assign(value)
    count = len(model.transfer_graph.tasks)
    losses = step.evaluation.losses
    model.loss_tracker.update_state(
        losses.numerators[:count],
        losses.denominators[:count],
        batch.size,
        objective=replica_sum(step.total),
    )
    update_metrics(model, batch, step.evaluation.predictions, losses.present)
    logs: dict[str, Tensor] = model.get_metrics_result()
    return logs


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

    found, gradient = _gradients.value_and_gradient(objective, theta)
    return Differentiated(**found, gradient=gradient)


def _with_rows(
    model: Any, theta: Sequence[Tensor], batch: Batch, plan: RowPlan
) -> Differentiated:
    """Differentiates with the gradients of tasks told apart."""
    weighting, aggregator = model.weighting, model.aggregator
    scale = model.optimizer.scale_loss
    with _gradients.Recording(theta) as recording:
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
    losses = replica_sum(ops.stop_gradient(evaluation.shares))
    counts = replica_sum(ops.stop_gradient(evaluation.losses.counts))
    raw = model.weighting.bounded_weights(losses, counts > 0)
    raw = ops.stop_gradient(raw)
    return {
        "losses": losses,
        "counts": counts,
        "raw_weights": raw,
        "weights": model.weighting.weights_of_edges(raw),
    }


def _update_weighting(
    model: Any,
    theta: Sequence[Tensor],
    scaled_gradient: Sequence[Tensor | None],
    batch: Batch,
    meta_batch: Batch,
) -> None:
    """Hands the weighting the exact gradient of the meta loss by ω."""
    weighting, optimizer = model.weighting, model.optimizer

    def update() -> None:
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

        def meta_loss(theta: Sequence[Tensor]) -> tuple[Tensor, None]:
            shares = evaluate(model, theta, meta_batch, clones=False).shares
            return ops.sum(shares) * meta_scale, None

        def losses(theta: Sequence[Tensor]) -> Tensor:
            return evaluate(
                model, theta, batch, clones=True, backward=False
            ).shares

        _, direction = _gradients.value_and_gradient(meta_loss, virtual)
        direction = _gradients.scale(direction, 1 / meta_scale)
        slopes = _gradients.directional_derivative(
            losses,
            theta,
            replica_sum(direction),
            rescale=_scales_losses(optimizer),
        )
        hypergradient = -rate * replica_sum(slopes)
        # An overflow, as mixed_float16 has now and then, must not last.
        # Squares, because an optimizer of ω may keep them; the gradient,
        # because the weights of clones do not reach the meta loss.
        judged = gradient if _scales_losses(optimizer) else []
        finite = _gradients.all_finite([ops.square(hypergradient), *judged])
        if num_replicas() == 1:
            _gradients.run_if(finite, lambda: weighting.update(hypergradient))
        else:  # replicas cannot talk to each other inside a condition
            none = ops.zeros_like(hypergradient)
            weighting.update(ops.where(finite, hypergradient, none))

    if weighting.update_every == 1:
        update()
        return
    if num_replicas() > 1:
        raise error(
            "A weighting can be updated only at every step when several "
            "replicas train together.",
            received=f"update_every={weighting.update_every}",
            remedy="Set update_every=1.",
        )
    due = ops.equal(optimizer.iterations % weighting.update_every, 0)
    _gradients.run_if(due, update)


def _scales_losses(optimizer: Any) -> bool:
    """Says whether training is in float16, where overflows are skipped."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def split_pair(data: Any) -> tuple[Any, Any]:
    """Returns the training and the meta part of a step's data."""
    if isinstance(data, tuple) and isinstance(data[0], PairedBatch):
        data = data[0]  # `train_on_batch` wraps its input once more
    if isinstance(data, PairedBatch):
        return data.train, data.meta
    return data, None
