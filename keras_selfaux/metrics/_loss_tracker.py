"""`LossTracker`: the running losses of all tasks as one metric."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._types import Edge, Task, Tensor
from keras_selfaux.distribution import replica_sum
from keras_selfaux.metrics import _step_record
from keras_selfaux.metrics._step_record import WATCHED, StepRecord


class LossTracker(keras.metrics.Metric):
    """Tracks `loss` and every `<task>_loss` over an epoch.

    A task's loss is pooled over the labels present in the whole epoch, so
    it does not depend on how samples fall into batches. In training, `loss`
    is the mean of what was minimised, clones and task weights included; in
    evaluation it is the sum of the tasks' pooled losses times their
    `loss_weights`, plus regularisation.

    It keeps a record of the steps, too, in which a loss was not finite.

    Args:
        tasks: Names of the T tasks.
        loss_weights: T floats. Defaults to all 1.
        edges: The n primaries and clones, `(source, target)`, primaries
            first. Defaults to the primaries.
        keeps_weights: Whether to keep the means of the task weights.
            Defaults to `False`.

    Attributes:
        training_record: int64 variable, the record of training steps.
        evaluation_record: int64 variable, that of steps of evaluation.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        loss_weights: Sequence[float] | None = None,
        edges: Sequence[Edge] | None = None,
        *,
        keeps_weights: bool = False,
        name: str = "loss_tracker",
    ) -> None:
        super().__init__(name=name)
        self._tasks = list(tasks)
        self._loss_weights = list(loss_weights or [1.0] * len(self._tasks))
        self._edges = list(edges or [(task, task) for task in tasks])
        count = (len(self._tasks),)
        self.numerators = self._add("numerators", count)
        self.denominators = self._add("denominators", count)
        self.objective = self._add("objective", ())
        self.additional = self._add("additional", ())
        self.training_samples = self._add("training_samples", ())
        self.samples = self._add("samples", ())
        length = _step_record.size(len(self._edges) + len(WATCHED))
        self.training_record = self._add_record("training_record", length)
        self.evaluation_record = self._add_record("evaluation_record", length)
        self.forget_training_steps()
        self.weight_sums = None
        if keeps_weights:
            # Sums of the weights, and in how many steps they were applied.
            shape = (2, len(self._edges))
            self.weight_sums = self.add_variable(
                shape, "zeros", aggregation="only_first_replica", name="weights"
            )

    def _add(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_variable(shape=shape, initializer="zeros", name=name)

    def _add_record(self, name: str, length: int) -> Any:
        # Every replica records what all of them have met.
        return self.add_variable(
            (length,), "zeros", "int64", "only_first_replica", name
        )

    def update_state(
        self,
        numerators: Tensor,
        denominators: Tensor,
        batch_size: Tensor,
        additional: Tensor = 0.0,
        objective: Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            numerators: Shape `(T,)`; see `keras_selfaux.losses.MaskedLoss`.
            denominators: Shape `(T,)`.
            batch_size: Number of samples.
            additional: Regularisation losses, summed. Defaults to 0.
            objective: In training, what was minimised.
        """
        batch_size = ops.cast(batch_size, self.dtype)
        numerators = ops.cast(numerators, self.dtype)
        denominators = ops.cast(denominators, self.dtype)
        self.numerators.assign_add(numerators)
        self.denominators.assign_add(denominators)
        if objective is not None:
            objective = ops.cast(objective, self.dtype)
            self.objective.assign_add(objective * batch_size)
            self.training_samples.assign_add(batch_size)
            return
        additional = ops.cast(additional, self.dtype)
        self.additional.assign_add(additional * batch_size)
        self.samples.assign_add(batch_size)
        self._record_evaluation(numerators, denominators, additional)

    def _record_evaluation(
        self, numerators: Tensor, denominators: Tensor, additional: Tensor
    ) -> None:
        by_task = [ops.isfinite(numerators), ops.isfinite(denominators)]
        finite = ops.concatenate(
            [ops.logical_and(*by_task), ops.isfinite(additional)[None]]
        )
        bad = replica_sum(ops.cast(ops.logical_not(finite), "float32"))
        finite = ops.equal(bad, 0)
        clones = len(self._edges) - len(self._tasks)
        parts = [
            finite[:-1],
            np.ones(clones, bool),
            finite[-1:],
            np.ones(len(WATCHED) - 1, bool),
        ]
        record = ops.convert_to_tensor(self.evaluation_record)
        self.evaluation_record.assign(
            _step_record.advanced(record, ops.concatenate(parts))
        )

    def record_step(self, finite: Tensor) -> None:
        """Adds a training step to the record.

        Args:
            finite: Tensor of shape `(n + w,)`, bool: which losses of the
                edges were finite in the global batch, then which of
                `WATCHED`.
        """
        record = ops.convert_to_tensor(self.training_record)
        self.training_record.assign(_step_record.advanced(record, finite))

    def add_weights(self, weights: Tensor, present: Tensor) -> None:
        """Adds the task weights of a step to their means.

        Args:
            weights: Tensor of shape `(n,)`: ω.
            present: Tensor of shape `(n,)`, bool: which losses had labels.
        """
        if self.weight_sums is not None:
            weights = ops.where(present, weights, ops.zeros_like(weights))
            present = ops.cast(present, weights.dtype)
            self.weight_sums.assign_add(ops.stack([weights, present]))

    def training_steps(self) -> StepRecord:
        """Returns the record of the training steps of this epoch.

        Whoever evaluates between two steps resets all metrics; it goes on
        from there. It begins with `forget_training_steps`.
        """
        before: StepRecord = self._steps_before
        return before.followed_by(self._read(self.training_record))

    def forget_training_steps(self) -> None:
        """Forgets the training steps before the last reset."""
        # Past `__setattr__`, which would look for variables.
        self.__dict__["_steps_before"] = StepRecord()

    def evaluation_steps(self) -> StepRecord:
        """Returns the record of evaluation since the last reset."""
        return self._read(self.evaluation_record)

    def _read(self, record: Any) -> StepRecord:
        return _step_record.read(record, [*self._edges, *WATCHED])

    def reset_state(self) -> None:
        """Forgets all batches, but for the record of training."""
        self.__dict__["_steps_before"] = self.training_steps()
        super().reset_state()

    def mean_weights(self) -> dict[Edge, float]:
        """Returns the mean weights, empty where it keeps none.

        They are means over the steps since the last reset in which an edge
        had labels; edges without any are left out.
        """
        if self.weight_sums is None:
            return {}
        values = ops.convert_to_numpy(ops.convert_to_tensor(self.weight_sums))
        sums, counts = values.tolist()
        found = zip(self._edges, sums, counts, strict=True)
        return {edge: total / count for edge, total, count in found if count}

    def result(self) -> dict[str, Tensor]:
        """Returns `{"loss": ..., "<task>_loss": ...}`.

        All are NaN where there were training steps and all were skipped: 0
        would be the best loss that there can be.
        """
        losses = ops.divide_no_nan(self.numerators, self.denominators)
        steps, bad = ops.unstack(self.training_record[:2], 2)
        are_all_bad = ops.logical_and(steps > 0, ops.equal(steps, bad))
        nothing = ops.logical_and(are_all_bad, self.training_samples <= 0)
        losses = losses + ops.where(nothing, float("nan"), 0.0)
        evaluated = ops.sum(
            losses * ops.convert_to_tensor(self._loss_weights, losses.dtype)
        ) + ops.divide_no_nan(self.additional, self.samples)
        trained = ops.divide_no_nan(self.objective, self.training_samples)
        is_training = ops.convert_to_tensor(self.training_samples) > 0
        by_task = dict(
            zip(
                (f"{task}_loss" for task in self._tasks),
                ops.unstack(losses, num=len(self._tasks)),
                strict=True,
            )
        )
        return {"loss": ops.where(is_training, trained, evaluated), **by_task}
