"""Going on in the middle of an interrupted `fit`.

Weights can be read from a file. The position in the data cannot: data may be
anything that Keras takes, shuffled by anything. So they are replayed: the loop
of `fit` runs again from where it began, with a train function that throws
batches away and callbacks that hear nothing of it, up to the position where
the interrupted run was. Meta data, shuffles and what happens between two
epochs are then where they were, too.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux._checks import UsageError, error
from keras_selfaux._types import Tensor
from keras_selfaux.distribution import is_multi_worker


class Position(NamedTuple):
    """How far a run of `fit` has come.

    Attributes:
        epoch: The number of the epoch it is in.
        executions: How many times the train function was called in it; each
            time it takes `steps_per_execution` steps.
    """

    epoch: int
    executions: int = 0


def backup_among(callbacks: Any) -> Any:
    """Returns the one `BackupAndRestore` among callbacks, or `None`.

    Raises:
        ValueError: If there are several.
    """
    kind = keras.callbacks.BackupAndRestore
    found = [c for c in flat_callbacks(callbacks) if isinstance(c, kind)]
    if len(found) > 1:
        raise error(
            "`callbacks` must have at most one BackupAndRestore.",
            received=f"{len(found)} of them",
            remedy="Leave all but one out.",
        )
    return found[0] if found else None


def flat_callbacks(callbacks: Any) -> list[Any]:
    """Returns what `fit` was given as `callbacks` as a list."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return [c for c in keras.tree.flatten(callbacks or []) if c is not None]


class ReplayingCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a run that one of them may have to go on with.

    Args:
        callbacks: All of them, one a `BackupAndRestore`. It is called last,
            when there is nothing left of a step or an epoch to be done.
        model: The `SelfAuxModel`.
        initial_epoch: Where `fit` was asked to begin.
        verbose: As for `fit`.
        **params: What callbacks are told: `epochs` and `steps`.
    """

    def __init__(
        self,
        callbacks: Sequence[Any],
        model: Any,
        *,
        initial_epoch: int,
        verbose: Any,
        **params: Any,
    ) -> None:
        self._backup = backup_among(callbacks)
        self._begin = initial_epoch
        self._target: Position | None = None
        self._is_silent = False
        self._function: Any = None
        self._epoch = self._executions = 0
        super().__init__(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            **params,
        )
        self.callbacks.sort(key=lambda callback: callback is self._backup)

    @property
    def is_replaying(self) -> bool:
        """Whether the interrupted run's position is still to be reached."""
        return self._target is not None

    def on_train_begin(self, logs: Any = None) -> None:
        """Finds out where to go on."""
        self._check_workers()
        self.model._initial_epoch = None  # of an earlier `fit`
        self._backup.all_callbacks = self.callbacks
        super().on_train_begin(logs)
        found = getattr(self._backup, "position", None)
        position = found or Position(self.model._initial_epoch or 0)
        if position == (0, 0):
            return
        self.model._initial_epoch = None
        self._target, self._is_silent = position, True
        # `fit` does nothing but end, if the epochs are over.
        is_over = position.epoch >= self.params["epochs"]
        is_over = is_over or getattr(self._backup, "has_stopped", False)
        if is_over:
            self.model._initial_epoch = max(1, self.params["epochs"])
            self._arrive()
            return
        if self._begin > position.epoch or not self._replays_data():
            self.model._initial_epoch = position.epoch
        self._function = self.model.train_function
        self.model.train_function = self._throw_away

    def _check_workers(self) -> None:
        is_ours = hasattr(self._backup, "resume")
        if not is_ours and is_multi_worker(self.model.distribute_strategy):
            raise error(
                "Keras's own BackupAndRestore has every worker write and "
                "remove the same files.",
                received="keras.callbacks.BackupAndRestore",
                remedy="Use keras_selfaux.callbacks.BackupAndRestore.",
            )

    def _replays_data(self) -> bool:
        return bool(getattr(self._backup, "replay_data", True))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begins an epoch, unless it is over already."""
        self._epoch, self._executions = epoch, 0
        if self._target is not None:
            if epoch < self._target.epoch:
                return
            if epoch > self._target.epoch:
                raise self._lost()
            if self._target == (epoch, 0):
                self._arrive()
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begins a step, unless it was taken already."""
        self._is_silent = self.is_replaying
        if not self._is_silent:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends a step, unless it was taken already."""
        if not self._is_silent:
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends an epoch, unless it was over already."""
        if not self.is_replaying:
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Ends `fit`, if all was done that there was to do."""
        if self.is_replaying:
            raise self._lost()
        super().on_train_end(logs)

    def _throw_away(self, iterator: Any) -> dict[str, Tensor]:
        """Stands in for the train function."""
        taken = 0
        with contextlib.suppress(StopIteration):
            while taken < self.model.steps_per_execution:
                batch = next(iterator)
                taken += 1
        if not taken:
            raise StopIteration
        self._executions += 1
        end_if_asked = getattr(self._backup, "end_if_asked", None)
        if end_if_asked is not None:
            end_if_asked()
        if self._target == (self._epoch, self._executions):
            # Metrics are built by their first batch, and have states by then.
            self.model.build_from_batch(batch)
            self._arrive()
        logs: dict[str, Tensor] = self.model.get_metrics_result()
        return logs

    def _arrive(self) -> None:
        """Lets `fit` go on as if there had been no interruption."""
        self._target = None
        self._restore_function()
        resume = getattr(self._backup, "resume", None)
        try:
            if resume is not None:
                resume()
        except StopIteration as problem:  # which would end the epoch
            raise RuntimeError("a callback stopped while resuming") from problem

    def _lost(self) -> UsageError:
        return error(
            "The data end before the interrupted run did.",
            received=f"{self._executions} executions of steps in epoch "
            f"{self._epoch}, and a checkpoint of {self._target}",
            remedy="Go on with the same data, batch size, steps and "
            "`initial_epoch`, or use another `backup_dir`.",
        )

    def _restore_function(self) -> None:
        if self._function is not None:
            self.model.train_function = self._function
            self._function = None

    def release(self) -> None:
        """Leaves the model as if there had been no replay."""
        self._restore_function()
        self._target = None
        self.model._initial_epoch = None  # which Keras would remember


@contextlib.contextmanager
def during_fit(callbacks: Any) -> Iterator[None]:
    """Enters the contexts of callbacks that want one around all of `fit`.

    Such a callback has a method `during_fit` that returns a context.
    """
    with contextlib.ExitStack() as stack:
        for callback in flat_callbacks(callbacks):
            enter = getattr(callback, "during_fit", None)
            if enter is not None:
                stack.enter_context(enter())
        if isinstance(callbacks, ReplayingCallbacks):
            stack.callback(callbacks.release)
        yield
