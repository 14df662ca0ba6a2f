"""`FiniteReport`: says which steps were skipped, and for what."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_selfaux._checks import error
from keras_selfaux._verdict import CONTINUE
from keras_selfaux.metrics._step_record import StepRecord


class FiniteReport(keras.callbacks.Callback):
    """Warns at the end of each epoch in which steps were skipped.

    `fit` adds one where `compile` was told to skip steps.

    Attributes:
        record: The steps of the epoch so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.record = StepRecord()
        self._epoch: int | None = None
        self._run_before = 0

    @property
    def is_skipping(self) -> bool:
        """Whether steps are skipped."""
        return bool(self.model.on_non_finite != CONTINUE)

    @property
    def run(self) -> int:
        """How many bad steps there were in a row at most.

        They may have begun in an epoch before.
        """
        before = StepRecord.of_bad_steps(self._run_before)
        return before.followed_by(self.record).longest

    @contextlib.contextmanager
    def during_fit(self) -> Iterator[None]:
        """Knows no epoch after `fit`, however that ended.

        Evaluation then belongs to none.
        """
        try:
            yield
        finally:
            self._epoch = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets earlier runs of `fit`."""
        self._check_model()
        self.record = StepRecord()
        self._run_before = 0

    def on_test_begin(self, logs: Any = None) -> None:
        """Looks whether there are steps to report."""
        self._check_model()

    def _check_model(self) -> None:
        if not hasattr(self.model, "loss_tracker"):
            raise error(
                f"`{type(self).__name__}` needs a model with several tasks.",
                received=type(self.model).__name__,
                remedy="Use it in `fit` of a `SelfAuxModel`.",
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts afresh."""
        before = StepRecord.of_bad_steps(self._run_before)
        self._run_before = before.followed_by(self.record).trailing
        self._epoch = epoch
        self.record = StepRecord()
        self.model.loss_tracker.forget_training_steps()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Warns of the steps that were skipped."""
        self.record = self.model.loss_tracker.training_steps()
        if self.record.bad and self.is_skipping:
            warnings.warn(
                f"{self.record.bad} of {self.record.steps} steps of epoch "
                f"{epoch} were skipped, since there was NaN or infinity in "
                f"{list_of_firsts(self.record.firsts)}.",
                stacklevel=2,
            )


def subject(names: Any) -> str:
    """Returns what of a step is not finite, in words.

    Args:
        names: Edges, and names of `WATCHED`.
    """
    edges = [name for name in names if isinstance(name, tuple)]
    tasks = [source for source, target in edges if source == target]
    # Where a task's own loss is not finite, its clones' seldom are.
    clones = [f"{s}->{t}" for s, t in edges if s not in tasks]
    parts = [f"losses of tasks {tasks}"] if tasks else []
    parts += [f"losses of clones {clones}"] if clones else []
    parts += [name for name in names if not isinstance(name, tuple)]
    return " and the ".join(parts)


def list_of_firsts(firsts: Mapping[Any, int]) -> str:
    """Names what was not finite, and when it was so for the first time."""
    by_step: dict[int, list[Any]] = {}
    for name, step in firsts.items():
        by_step.setdefault(step, []).append(name)
    # A clone's loss that follows its task's into infinity is not listed.
    tasks = {n[0]: s for n, s in firsts.items() if _is_primary(n)}
    texts = []
    for step, names in sorted(by_step.items()):
        told = [
            name
            for name in names
            if _is_primary(name)
            or not isinstance(name, tuple)
            or tasks.get(name[0], step + 1) > step
        ]
        if told:
            texts.append(f"the {subject(told)} (first in step {step})")
    return ", ".join(texts)


def _is_primary(name: Any) -> bool:
    return isinstance(name, tuple) and name[0] == name[1]


def with_report(callbacks: Any, model: Any) -> Any:
    """Returns the callbacks of `fit`, with a report where steps are skipped.

    Args:
        callbacks: What `fit` was given: a callback, a list, a
            `keras.callbacks.CallbackList` or `None`.
        model: The `SelfAuxModel`, compiled.
    """
    is_list = isinstance(callbacks, keras.callbacks.CallbackList)
    given = callbacks.callbacks if is_list else keras.tree.flatten(callbacks)
    is_there = any(isinstance(callback, FiniteReport) for callback in given)
    if model.on_non_finite == CONTINUE or is_there:
        return callbacks
    report = FiniteReport()
    if not is_list:
        return [*(c for c in given if c is not None), report]
    report.set_model(model)
    callbacks.callbacks.append(report)
    return callbacks
