"""The gradient of a step where tasks' gradients are told apart.

Row i is the gradient of the ω-weighted losses on task i's labels. An
aggregator turns the rows into what takes the place of their sum, on what
several tasks share; all else gets its plain gradient.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._gradients import Recording
from keras_selfaux._rows import Rows, gramian, rows_of, scale_of
from keras_selfaux._sharing import shared_entries
from keras_selfaux._trunk import Trunk
from keras_selfaux._types import Tensor
from keras_selfaux.distribution import num_replicas, replica_sum


class RowPlan(NamedTuple):
    """What the rows of a compiled model are gradients with respect to.

    Attributes:
        shared: See `shared_entries`.
        trunk: Runs the encoder where rows are those of features.
    """

    shared: list[bool | np.ndarray]
    trunk: Trunk | None

    @property
    def numbers(self) -> list[int]:
        """The numbers of the variables that are shared, if only in part."""
        return [i for i, s in enumerate(self.shared) if np.any(s)]


def make_plan(model: Any) -> RowPlan | None:
    """Plans the rows of a built and compiled model, if there can be any.

    Raises:
        ValueError: If rows are needed and there are none to be had.
    """
    weighting, aggregator = model.weighting, model.aggregator
    by_features = aggregator is not None and aggregator.rows == "features"
    plan = RowPlan(
        shared_entries(model), Trunk(model.encoder) if by_features else None
    )
    if not plan.numbers and weighting.needs_rows:
        raise error(
            f"Weighting {weighting.name!r} compares gradients on variables "
            "that several tasks share.",
            received="a model whose tasks share none",
            remedy="Share stages of the encoder, add self-auxiliaries, or "
            "use another weighting.",
        )
    if not plan.numbers:
        warnings.warn(
            f"Aggregator {aggregator.name!r} has nothing to do: the tasks of "
            "this model share no variables.",
            stacklevel=2,
        )
        return None
    return plan


def build_rules(model: Any, plan: RowPlan | None) -> None:
    """Lets weighting and aggregator create variables of the rows' shapes.

    Raises:
        ValueError: If they have such variables, of other shapes.
    """
    numbers = [] if plan is None else plan.numbers
    variables = [model.trainable_variables[i] for i in numbers]
    count = len(model.transfer_graph.tasks)
    shapes = tuple((count, *variable.shape) for variable in variables)
    for rule in (model.weighting, model.aggregator):
        if rule is None or not rule.keeps_rows:
            continue
        if rule.shapes_of_rows is None:
            rule.build_rows(shapes)
            rule.shapes_of_rows = shapes
        elif rule.shapes_of_rows != shapes:
            raise error(
                f"{rule.name!r} remembers the gradients of other variables "
                "than are trained now.",
                received="layers frozen or unfrozen after `compile`",
                remedy="Call `compile` again.",
            )


def task_losses(model: Any, weighted: Tensor) -> Tensor:
    """Sums the weighted losses of primaries and clones by task, `(K,)`."""
    tasks = model.transfer_graph.tasks
    member = [[s == t for t in tasks] for s, _ in model.weighting.edges]
    matrix = ops.convert_to_tensor(np.array(member, "float32"))
    return ops.matmul(weighted[None], matrix)[0]


class Recorded(NamedTuple):
    """What a step recorded of its losses.

    Attributes:
        recording: Differentiates the rest.
        theta: Tensors of the trainable variables.
        total: What is minimised, scaled.
        by_task: Tensor of shape `(K,)`: the tasks' losses in it, scaled.
        additional: The rest of it, scaled.
        shared_features: What the trunk returned, or `None`.
        loss_scale: What the losses are multiplied by; 1 but in float16.
    """

    recording: Recording
    theta: Sequence[Tensor]
    total: Tensor
    by_task: Tensor
    additional: Tensor
    shared_features: Tensor | None
    loss_scale: Tensor


def parameter_rows(recorded: Recorded, plan: RowPlan) -> Rows:
    """Returns the rows on the shared variables, the same on every replica."""
    sources = [recorded.theta[i] for i in plan.numbers]
    local = recorded.recording.jacobian(recorded.by_task, sources)
    tensors = [
        _only_shared(
            ops.cast(tensor, "float32") / recorded.loss_scale,
            plan.shared[number],
        )
        for number, tensor in zip(plan.numbers, local, strict=True)
    ]
    losses = replica_sum(ops.stop_gradient(recorded.by_task))
    return rows_of(replica_sum(tensors), losses / recorded.loss_scale)


def feature_rows(recorded: Recorded) -> Rows:
    """Returns the rows on the trunk's features, of this replica's samples."""
    (local,) = recorded.recording.jacobian(
        recorded.by_task, [recorded.shared_features]
    )
    tensors = [ops.cast(local, "float32") / recorded.loss_scale]
    # Of the order of the largest entry anywhere, and the same everywhere. A
    # replica without samples has no entries.
    largest = ops.max(ops.abs(tensors[0]), initial=0.0)
    scale = scale_of([replica_sum(largest)[None]])
    losses = replica_sum(ops.stop_gradient(recorded.by_task))
    return Rows(
        tensors,
        losses / recorded.loss_scale,
        replica_sum(gramian(tensors, scale)),
        scale,
    )


def aggregated_parameters(
    recorded: Recorded, plan: RowPlan, rows: Rows, aggregator: Any
) -> list[Tensor | None]:
    """Returns the gradient with the rows on shared variables aggregated."""
    theta, numbers = recorded.theta, plan.numbers
    update = dict(zip(numbers, aggregator(rows), strict=True))
    additional = dict(
        zip(
            numbers,
            recorded.recording.gradient(
                recorded.additional, [theta[i] for i in numbers]
            ),
            strict=True,
        )
    )
    rest = [i for i, s in enumerate(plan.shared) if s is not True]
    plain = dict(zip(rest, summed(recorded, rest), strict=True))
    gradient: list[Tensor | None] = []
    for i, tensor in enumerate(theta):
        if i not in update:
            gradient.append(plain[i])
            continue
        # Keras's optimizers sum over replicas, and all have this update.
        scale = recorded.loss_scale / num_replicas()
        value = ops.cast(update[i] * scale, tensor.dtype)
        if additional[i] is not None:
            value = value + additional[i]
        if i in plain:
            is_shared = _along_first_axis(plan.shared[i], tensor)
            value = ops.where(is_shared, value, _or_zeros(plain[i], tensor))
        gradient.append(value)
    return gradient


def aggregated_features(
    recorded: Recorded, rows: Rows, aggregator: Any
) -> list[Tensor | None]:
    """Returns the gradient with the rows on features aggregated.

    What the trunk's features depend on gets the gradient that the
    aggregated rows send back through it; all else its plain one.
    """
    features: Any = recorded.shared_features
    (update,) = aggregator(rows)
    upstream = ops.cast(update * recorded.loss_scale, features.dtype)
    through = recorded.recording.gradient(features, recorded.theta, upstream)
    inner = [i for i, g in enumerate(through) if g is not None]
    outer = [i for i, g in enumerate(through) if g is None]
    gradient: list[Tensor | None] = list(through)
    additional = recorded.recording.gradient(
        recorded.additional, [recorded.theta[i] for i in inner]
    )
    for i, added in zip(inner, additional, strict=True):
        gradient[i] = through[i] if added is None else through[i] + added
    for i, value in zip(outer, summed(recorded, outer), strict=True):
        gradient[i] = value
    return gradient


def summed(recorded: Recorded, numbers: Sequence[int]) -> list[Tensor | None]:
    """Returns the plain gradient of all that is minimised."""
    sources = [recorded.theta[i] for i in numbers]
    return recorded.recording.gradient(recorded.total, sources)


def _only_shared(rows: Tensor, shared: bool | np.ndarray) -> Tensor:
    """Sets the entries of rows `(K, copies, ...)` that are not shared to 0."""
    if shared is True:
        return rows
    is_shared = _along_first_axis(shared, rows[0])[None]
    return ops.where(is_shared, rows, ops.zeros_like(rows))


def _along_first_axis(shared: Any, tensor: Tensor) -> Tensor:
    return ops.reshape(
        ops.convert_to_tensor(shared), (-1, *(1,) * (len(tensor.shape) - 1))
    )


def _or_zeros(gradient: Tensor | None, tensor: Tensor) -> Tensor:
    return ops.zeros_like(tensor) if gradient is None else gradient
