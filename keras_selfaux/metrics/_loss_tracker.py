"""`LossTracker`: the running losses of all tasks as one metric."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._types import Task, Tensor


class LossTracker(keras.metrics.Metric):
    """Tracks `loss` and every `<task>_loss` over an epoch.

    A task's loss is pooled over the labels present in the whole epoch, so
    it does not depend on how samples fall into batches. In training, `loss`
    is the mean of what was minimised, clones and task weights included; in
    evaluation it is the sum of the tasks' pooled losses times their
    `loss_weights`, plus regularisation.

    Args:
        tasks: Names of the T tasks.
        loss_weights: T floats. Defaults to all 1.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        loss_weights: Sequence[float] | None = None,
        name: str = "loss_tracker",
    ) -> None:
        super().__init__(name=name)
        self._tasks = list(tasks)
        self._loss_weights = list(loss_weights or [1.0] * len(self._tasks))
        count = (len(self._tasks),)
        self.numerators = self._add("numerators", count)
        self.denominators = self._add("denominators", count)
        self.objective = self._add("objective", ())
        self.additional = self._add("additional", ())
        self.training_samples = self._add("training_samples", ())
        self.samples = self._add("samples", ())

    def _add(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_variable(shape=shape, initializer="zeros", name=name)

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
        self.numerators.assign_add(ops.cast(numerators, self.dtype))
        self.denominators.assign_add(ops.cast(denominators, self.dtype))
        if objective is not None:
            objective = ops.cast(objective, self.dtype)
            self.objective.assign_add(objective * batch_size)
            self.training_samples.assign_add(batch_size)
            return
        additional = ops.cast(additional, self.dtype)
        self.additional.assign_add(additional * batch_size)
        self.samples.assign_add(batch_size)

    def result(self) -> dict[str, Tensor]:
        """Returns `{"loss": ..., "<task>_loss": ...}`."""
        losses = ops.divide_no_nan(self.numerators, self.denominators)
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
