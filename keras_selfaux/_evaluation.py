"""Losses and metrics of the primaries; what training shares with evaluation."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._batch import Batch
from keras_selfaux._objective import EdgeLosses, PresentLabels
from keras_selfaux._stacking import Nodes
from keras_selfaux._types import PerTask, Task, Tensor
from keras_selfaux.distribution import num_replicas, replica_sum
from keras_selfaux.metrics import Samples


def test(model: Any, data: Any) -> dict[str, Tensor]:
    """Evaluates one batch on the primaries and returns the logs."""
    batch = model.as_batch(data)
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

    def masks(tasks: Sequence[Task]) -> Tensor | None:
        return present.stacked([(task, task) for task in tasks])

    model._compile_metrics.update_state(
        Samples(batch.y, predictions, batch.sample_weight, masks)
    )
