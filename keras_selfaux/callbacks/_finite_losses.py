"""`FiniteLosses`: stops with an error that names task, epoch and step."""

import warnings
from collections.abc import Collection
from typing import Any

import keras

from keras_selfaux._checks import UsageError, check_count, error
from keras_selfaux._finite_report import FiniteReport, list_of_firsts, subject
from keras_selfaux.metrics._step_record import (
    GRADIENTS,
    HYPERGRADIENTS,
    StepRecord,
)

_IN_TRAINING = (
    "Lower the learning rate, clip the gradients (global_clipnorm), or look "
    "for such values in the data"
)
_TO_SKIP = (
    f"{_IN_TRAINING}; `compile(on_non_finite='skip')` leaves such steps out."
)
_AFTER_SKIPPING = (
    "If weights have grown too large, go back to an earlier checkpoint. "
    f"{_IN_TRAINING}."
)
_IN_EVALUATION = (
    "Look for such values in the data that are evaluated; if weights have "
    "grown too large, go back to an earlier checkpoint."
)


class FiniteLosses(FiniteReport):
    """Ends training with an error once a task's loss is NaN or infinite.

    Keras's `TerminateOnNaN` looks at the sum of all losses and ends quietly;
    this names the tasks, the epoch and the step, both counted from 0. Every
    step records by itself what was not finite in it, so that the very step
    is named however many are taken at once. Beside the tasks' losses, those
    of clones are watched, regularisation losses, task weights, the gradient
    and, for weightings that need `meta_data`, the losses of the meta batch;
    named is what came first. Labels that are missing are no such losses.

    Where `compile(on_non_finite=...)` was told to skip such steps, training
    goes on: at the end of an epoch a warning says how many steps were
    skipped, and for what, and there is an error only after many in a row.
    Gradients that overflow in half precision are left to Keras's
    `LossScaleOptimizer`, which skips such steps, unless they are so many.
    How many are in a row is looked at once per execution, so that training
    may go on to the end of one: `fit` takes up to 16 steps at a time.

    The losses of validation are looked at when it is over: with an error,
    or a warning where steps are skipped.

    Args:
        patience: After how many steps in a row that were skipped, or whose
            gradients overflowed in half precision, training ends with an
            error: an integer of at least 1, or `None` for never. Defaults
            to 100.

    Raises:
        ValueError: If `patience` is not as described; in `fit`, if a loss
            is not finite, or after `patience` such steps; in
            `evaluate`, if a loss is not finite.

    Example:

    >>> model.fit(x, y, callbacks=[keras_selfaux.callbacks.FiniteLosses()])
    """

    # So that `fit` may take any number of steps at a time; see
    # `_steps_per_execution`.
    counts_steps = True

    def __init__(self, patience: int | None = 100) -> None:
        super().__init__()
        if patience is not None:
            check_count("patience", patience, least=1)
        self.patience = patience

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raises if it is time to."""
        self.record = self.model.loss_tracker.training_steps()
        if not self.record.bad:
            return
        if not self.is_skipping:
            # Half precision overflows now and then; Keras skips the step.
            scales = isinstance(
                self.model.optimizer, keras.optimizers.LossScaleOptimizer
            )
            ignored = (GRADIENTS, HYPERGRADIENTS) if scales else ()
            named, step = _earliest(self.record, ignored)
            if named:
                where = f"epoch {self._epoch}, step {step}"
                raise _not_finite(named, where, _TO_SKIP)
        if self.patience is not None and self.run >= self.patience:
            raise self._out_of_patience()

    def on_test_end(self, logs: Any = None) -> None:
        """Raises, or warns, if a loss of the evaluation is not finite."""
        found = self.model.loss_tracker.evaluation_steps()
        if not found.bad:
            return
        named, step = _earliest(found)
        where = f"the evaluation, step {step}"
        if self._epoch is not None:
            where = f"the validation of epoch {self._epoch}, step {step}"
        problem = _not_finite(named, where, _IN_EVALUATION)
        if not self.is_skipping:
            raise problem
        warnings.warn(str(problem), stacklevel=2)

    def _out_of_patience(self) -> UsageError:
        what = "were skipped" if self.is_skipping else "overflowed"
        return error(
            f"{self.run} steps in a row {what}.",
            received=f"NaN or infinity in epoch {self._epoch} in "
            f"{list_of_firsts(self.record.firsts)}",
            remedy=_AFTER_SKIPPING,
        )


def _earliest(
    record: StepRecord, ignored: Collection[str] = ()
) -> tuple[list[Any], int]:
    """Returns what was not finite first, and in which step."""
    firsts = {k: step for k, step in record.firsts.items() if k not in ignored}
    earliest = min(firsts.values(), default=0)
    return [k for k, step in firsts.items() if step == earliest], earliest


def _not_finite(names: Collection[Any], where: str, remedy: str) -> UsageError:
    return error(
        f"The {subject(names)} are not finite.",
        received=f"NaN or infinity in {where}",
        remedy=remedy,
    )
