"""`BackupAndRestore`: an interrupted `fit` ends as if nothing had happened."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_selfaux._checks import check_count, check_positive, error
from keras_selfaux._replay import Position
from keras_selfaux.callbacks._callback_state import restore_states, states_of
from keras_selfaux.callbacks._checkpoint import CheckpointFolder
from keras_selfaux.distribution import (
    is_chief,
    is_multi_worker,
    mean_over_workers,
)


class BackupAndRestore(keras.callbacks.BackupAndRestore):
    """Lets an interrupted `fit` go on where it was, step by step the same.

    What Keras's callback of this name keeps are weights, optimizer and the
    number of the epoch. This one also keeps the states of metrics and of the
    other callbacks (best weights of `EarlyStopping`, `History`, ...), goes on
    in the middle of an epoch, and has `fit` throw away the batches that the
    interrupted run has seen, so that the ones that follow are those that
    would have followed. A run that was killed at any time and is started
    again by the same program, with the same seeds, ends with the weights of
    one that was not; bit by bit where operations are deterministic.

    A checkpoint is complete or not there. When the disk is full, `fit` ends
    with an error that names the folder, and the checkpoint before remains.
    Of several workers the chief writes, and all read: the folder must be one
    that all of them see. Works in `SelfAuxModel.fit` alone. Of a callback that
    is neither Keras's own nor has `get_state` and `set_state` nothing is kept.

    Args:
        backup_dir: Folder of the checkpoint; nothing else should be there.
        save_freq: `"epoch"` to write a checkpoint after every epoch; an
            integer to write one after so many steps, and at the end of an
            epoch where an execution of steps goes beyond it. Defaults to
            `"epoch"`.
        double_checkpoint: Whether to keep the checkpoint before, for the case
            that a file of the newest is damaged. Defaults to `False`.
        delete_checkpoint: Whether to remove it when training has ended.
            Defaults to `True`.
        min_seconds: Not more often than this, in seconds. Defaults to 0.
        replay_data: Whether to throw away the batches that were seen, which
            takes as long as reading them does. Without, the data begin anew
            with the epoch that was interrupted. Defaults to `True`.
        end_on_signals: Whether SIGINT and SIGTERM let the current step end,
            write a checkpoint and raise `SystemExit` with the status 130 or
            143. The second signal does what it always did. Only in the main
            thread. Defaults to `False`.

    Raises:
        ValueError: If an argument is out of its range; in `fit`, if a
            checkpoint is damaged or is another model's.
        OSError: In `fit`, if a checkpoint cannot be written.

    Example:

    >>> backup = keras_selfaux.callbacks.BackupAndRestore("backup")
    >>> model.fit(x, y, epochs=100, callbacks=[backup])
    """

    counts_steps = True
    """Does not ask `fit` to return to Python after every step."""

    _SIGNALS: ClassVar[tuple[int, ...]] = (signal.SIGINT, signal.SIGTERM)

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        min_seconds: float = 0.0,
        replay_data: bool = True,
        end_on_signals: bool = False,
    ) -> None:
        if save_freq != "epoch":
            check_count("save_freq", save_freq, least=1)
        check_positive("min_seconds", min_seconds, zero=True)
        super().__init__(
            str(backup_dir), save_freq, double_checkpoint, delete_checkpoint
        )
        if save_freq != "epoch":
            self.every_n_steps = save_freq
        self.min_seconds = min_seconds
        self.replay_data = replay_data
        self.end_on_signals = end_on_signals
        self.folder = CheckpointFolder(backup_dir, double_checkpoint)
        self.position: Position | None = None
        self.has_stopped = False
        self.all_callbacks: Sequence[Any] = ()
        self._loaded: dict[str, Any] = {}
        self._signal: int | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Loads the checkpoint, if there is one."""
        if not self.all_callbacks:
            raise error(
                "This BackupAndRestore needs the `fit` of a SelfAuxModel.",
                received=f"{type(self.model).__name__}",
                remedy="Use keras.callbacks.BackupAndRestore there.",
            )
        self._epoch = self._executions = self._unsaved = 0
        self._last_batch = -1
        self._saved_at = time.monotonic()
        self._training_metrics: list[np.ndarray] | None = None
        self.position, self.has_stopped = None, False
        checkpoint = self.folder.read()
        self._check_workers_agree(checkpoint)
        if checkpoint is None:
            return
        self._loaded = checkpoint
        self._check_steps()
        self._load_variables()
        self.position = Position(*self._loaded["position"])
        self.has_stopped = self._loaded["has_stopped"]

    def _check_workers_agree(self, checkpoint: Any) -> None:
        """Raises where workers see different checkpoints.

        None goes on before all have read theirs, lest the chief removes it.
        """
        epoch, executions = checkpoint["position"] if checkpoint else (-1, 0)
        found = float(epoch * 2**32 + executions)
        strategy = self.model.distribute_strategy
        if mean_over_workers(found, strategy) != found:
            raise error(
                "All workers must see the same checkpoint.",
                received=f"epoch {epoch}, {executions} executions in "
                f"'{self.backup_dir}', and another one on other workers",
                remedy="Pass a `backup_dir` that all of them share, and start "
                "all again.",
            )

    def _load_variables(self) -> None:
        variables = self.model.state_variables
        stored = self._loaded["variables"]
        shapes = [[list(v.shape), v.dtype] for v in variables]
        found = [[list(v.shape), str(v.dtype)] for v in stored]
        if shapes != found:
            differing = [
                f"{variable.path} {tuple(variable.shape)}"
                for variable, one, other in zip(
                    variables, shapes, found, strict=False
                )
                if one != other
            ]
            raise error(
                f"The checkpoint in '{self.backup_dir}' is not this model's.",
                received=f"{len(found)} variables for {len(shapes)}, of which "
                f"others are {', '.join(differing[:3]) or 'none'}",
                remedy="Give it the same layers, tasks, optimizer, weighting "
                "and aggregator, or another `backup_dir`.",
            )
        _assign(variables, stored)

    def _check_steps(self) -> None:
        steps = self._loaded["steps_per_execution"]
        in_epoch = self._loaded["position"][1] > 0
        if in_epoch and steps != self.model.steps_per_execution:
            raise error(
                "A run that was interrupted within an epoch goes on with the "
                "same `steps_per_execution` alone.",
                received=f"{self.model.steps_per_execution}, and {steps} in "
                f"'{self.backup_dir}'",
                remedy=f"Compile with steps_per_execution={steps}.",
            )

    def resume(self) -> None:
        """Restores what `fit` has reset since; called at the position."""
        restore_states(self.all_callbacks, self._loaded["callbacks"])
        # Once more: the epoch may have begun once more, by other callbacks.
        _assign(self.model.state_variables, self._loaded["variables"])
        if self._loaded["position"][1]:
            # In the middle of an epoch, whose logs are means of all of it.
            _assign(self.model.metrics_variables, self._loaded["metrics"])
        self._epoch, self._executions = self._loaded["position"]
        self._last_batch = self._loaded["last_batch"]
        self._loaded = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Counts from here."""
        self._epoch, self._executions, self._last_batch = epoch, 0, -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts, and saves if it is time to."""
        self._executions += 1
        self._unsaved += batch - self._last_batch
        self._last_batch = batch
        is_due = self.save_freq != "epoch" and self._unsaved >= self.save_freq
        if is_due and self._is_time():
            self._save()
        self._end_if_asked()

    def on_test_begin(self, logs: Any = None) -> None:
        """Keeps the logs of training, which validation overwrites."""
        if self.end_on_signals and self._signal is None:
            self._training_metrics = self._metrics()
        self._end_if_asked()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends in the middle of a validation, if asked to."""
        self._end_if_asked()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves if it is time to."""
        self._epoch, self._executions, self._last_batch = epoch + 1, 0, -1
        self._training_metrics = None
        if self.save_freq == "epoch" and self._is_time():
            self._save()
        self._end_if_asked()

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the checkpoint, which nobody needs any more."""
        self.all_callbacks = ()
        if self.delete_checkpoint and is_chief(self.model.distribute_strategy):
            self.folder.remove()

    def _is_time(self) -> bool:
        if self._has_company() and self._executions:
            return True  # what metrics have seen, workers must ask together
        return time.monotonic() - self._saved_at >= self.min_seconds

    def _save(self) -> None:
        metrics: list[np.ndarray] = []
        if self._executions:
            metrics = self._training_metrics or self._metrics()
        self._unsaved = 0
        self._saved_at = time.monotonic()
        if not is_chief(self.model.distribute_strategy):
            return
        content = {
            "position": [self._epoch, self._executions],
            "last_batch": self._last_batch,
            "steps_per_execution": self.model.steps_per_execution,
            "has_stopped": bool(self.model.stop_training),
            "metrics": metrics,
            "variables": _values(self.model.state_variables),
            "callbacks": states_of(self.all_callbacks),
        }
        self.folder.write(content)

    def _has_company(self) -> bool:
        return is_multi_worker(self.model.distribute_strategy)

    def _metrics(self) -> list[np.ndarray]:
        return _values(self.model.metrics_variables)

    @contextlib.contextmanager
    def during_fit(self) -> Iterator[None]:
        """Takes signals while `fit` runs."""
        self._signal = None
        is_main = threading.current_thread() is threading.main_thread()
        if not self.end_on_signals or not is_main:
            yield
            return
        before = {s: signal.signal(s, self._note) for s in self._SIGNALS}
        self._before = before
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        self._signal = number
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def end_if_asked(self) -> None:
        """Ends during a replay: the checkpoint is right as it is."""
        if self._signal is not None:
            raise SystemExit(128 + self._signal)

    def _end_if_asked(self) -> None:
        if self._signal is None:
            return
        # Nor can one worker ask alone: the checkpoint before has to do.
        if not (self._has_company() and self._executions):
            self._save()
        raise SystemExit(128 + self._signal)


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(ops.convert_to_numpy(v)) for v in variables]
