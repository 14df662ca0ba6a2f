"""Losses and metrics of the primaries; what training shares with evaluation."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._batch import Batch, as_batch
from keras_selfaux._objective import EdgeLosses, PresentLabels
from keras_selfaux._stacking import Nodes
from keras_selfaux._types import PerTask, Task, Tensor
from keras_selfaux.distribution import num_replicas, replica_sum


def test(model: Any, data: Any) -> dict[str, Tensor]:
    """Evaluates one batch on the primaries and returns the logs."""
    batch = as_batch(data, model.transfer_graph.tasks)
    predictions = model(batch.x, training=False)
    losses = primary_losses(model, batch, predictions)
    model.loss_tracker.update_state(
        losses.numerators,
        losses.denominators,
        batch.size,
        additional=regularization(kept_losses(model)) * num_replicas(),
    )
    update_metrics(model, batch, predictions, losses.present)
    logs: dict[str, Tensor] = model.get_metrics_result()
    return logs


def primary_losses(
    model: Any, batch: Batch, predictions: PerTask[Tensor]
) -> EdgeLosses:
    """Returns the primaries' losses from their predictions."""
    alike: dict[Any, list[Task]] = {}
    for task in model.transfer_graph.tasks:
        alike.setdefault(tuple(predictions[task].shape), []).append(task)
    outputs = [
        (
            [(task, task) for task in tasks],
            Nodes(items=[predictions[task] for task in tasks]),
        )
        for tasks in alike.values()
    ]
    losses: EdgeLosses = model.objective(
        outputs,
        batch.y,
        batch.sample_weight,
        model.transfer_graph.primaries,
    )
    return losses


def shares_of(losses: EdgeLosses, scales: Sequence[float]) -> Tensor:
    """Returns what this replica adds to each loss of the global batch."""
    totals = replica_sum(ops.stop_gradient(losses.denominators))
    if num_replicas() == 1:
        totals = losses.denominators
    shares = ops.divide_no_nan(losses.numerators, totals)
    return shares * ops.convert_to_tensor(list(scales), "float32")


def regularization(losses: Sequence[Tensor]) -> Tensor:
    """Returns this replica's share of what layers add to the loss."""
    total = ops.zeros((), "float32")
    for loss in losses:
        total = total + ops.sum(ops.cast(loss, "float32"))
    return total / num_replicas()


def kept_losses(model: Any) -> list[Tensor]:
    """Returns what layers add to the loss, clones left out."""
    parts = (model.encoder, *model.head_bank.primary_stacks)
    return [loss for part in parts for loss in part.losses]


def update_metrics(
    model: Any,
    batch: Batch,
    predictions: PerTask[Tensor],
    present: PresentLabels,
) -> None:
    """Updates the compiled metrics, leaving missing labels out."""
    labels = {
        task: _without_missing(y, present[task, task])
        for task, y in batch.y.items()
    }
    for metrics, weighted in (
        (model._compile_metrics, False),
        (model.weighted_compile_metrics, True),
    ):
        if metrics.built and not metrics.metrics:
            continue
        weights = _masks_as_weights(present, batch, weighted=weighted)
        metrics.update_state(labels, dict(predictions), weights)


def _masks_as_weights(
    present: PresentLabels, batch: Batch, *, weighted: bool
) -> dict[Task, Tensor | None]:
    """Returns, per task, sample weights for metrics: 0 where missing."""
    weights: dict[Task, Tensor | None] = {}
    for task in batch.y:
        mask = present[task, task]
        given = batch.sample_weight[task] if weighted else None
        if mask is None:  # no label can be missing, so none has a weight
            weights[task] = None
            continue
        mask = ops.cast(mask, "float32")
        if given is not None:
            given = ops.cast(given, "float32")
            while len(given.shape) < len(mask.shape):
                given = ops.expand_dims(given, -1)
            mask = mask * given
        weights[task] = mask
    return weights


def _without_missing(labels: Tensor, present: Tensor | None) -> Tensor:
    """Returns labels with 0 where they are missing, for metrics."""
    if present is None:
        return labels
    while len(present.shape) < len(labels.shape):
        present = ops.expand_dims(present, -1)
    if len(present.shape) > len(labels.shape):
        present = ops.squeeze(present, -1)
    return ops.where(present, labels, ops.zeros_like(labels))
