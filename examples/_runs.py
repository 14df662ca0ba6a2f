"""Runs that are kept one by one, so that an interruption costs little.

While a run trains, a checkpoint is written now and then; when it has ended,
its results are, and its weights where they are asked for. Whoever comes again
with the same folder gets what was kept, or goes on from the checkpoint.
"""

import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import keras

from keras_selfaux.callbacks import BackupAndRestore
from keras_selfaux.distribution import is_chief

if __package__:
    from examples import _report, _runner, _training
    from examples._methods import Method
    from examples._problem import Data, Problem
else:
    import _report
    import _runner
    import _training
    from _methods import Method
    from _problem import Data, Problem

Results = dict[str, Any]


class Run:
    """One method with one seed, and the files that are kept of it.

    Args:
        folder: Where the files of all runs are.
        name: What the method is called.
        seed: The seed.
    """

    def __init__(self, folder: pathlib.Path, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed
        self._results = folder / f"{name}_{seed}.json"
        self._history = folder / f"{name}_{seed}.history.json"
        self._weights = folder / f"{name}_{seed}.weights.h5"
        self._backup = folder / f"{name}_{seed}"

    @property
    def has_ended(self) -> bool:
        """Whether its results are there."""
        return self._results.exists()

    def train(
        self,
        problem: Problem,
        method: Method,
        data: Data,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        *,
        keep_model: bool = False,
    ) -> Results:
        """Trains, unless that was done, and returns the results.

        Args:
            problem: The settings.
            method: How to train.
            data: What `problem.load_data` returned.
            callbacks: More callbacks for `fit`.
            keep_model: Whether `model` and `history` are going to be called.

        Raises:
            RuntimeError: If training diverged.
            ValueError: If files of an earlier run are damaged.
        """
        if self.has_ended:
            return self._read(self._results)
        history = _report.WeightHistory()
        try:
            model, result = _training.train(
                problem,
                method,
                self.name,
                self.seed,
                data,
                [history, *callbacks, self._backup_callback(problem)],
            )
        except RuntimeError:
            # It would diverge again if it went on.
            self._forget_backup()
            raise
        if is_chief():
            if keep_model:
                with _runner.written_at_once(self._weights) as path:
                    model.save_weights(path)
                _runner.write_json(self._history, history.get_state())
            # Last, since this says that all is there.
            _runner.write_json(self._results, result, allow_nan=True)
            self._forget_backup()
        return result

    def history(self) -> _report.WeightHistory:
        """Returns the task weights over the epochs."""
        history = _report.WeightHistory()
        history.set_state(self._read(self._history))
        return history

    def model(self, problem: Problem, method: Method) -> keras.Model:
        """Returns the model as it was when training had ended.

        On one device, whatever it was trained on.
        """
        model = _training.build_model(
            problem, method, problem.tasks, num_steps=1, name=self.name
        )
        model.optimizer.build(model.trainable_variables)
        try:
            model.load_weights(self._weights)
        except (OSError, ValueError) as problem_of_file:
            raise self._damaged(self._weights, problem_of_file) from (
                problem_of_file
            )
        return model

    def _backup_callback(self, problem: Problem) -> BackupAndRestore:
        return BackupAndRestore(
            self._backup,
            delete_checkpoint=False,  # but when the results are there
            min_seconds=problem.seconds_between_checkpoints,
            end_on_signals=True,
        )

    def _forget_backup(self) -> None:
        if is_chief():
            shutil.rmtree(self._backup, ignore_errors=True)

    def _read(self, path: pathlib.Path) -> Results:
        try:
            content = json.loads(path.read_text("utf-8"))
            if not isinstance(content, dict):
                raise ValueError(f"{type(content).__name__} instead of a dict")
        except ValueError as problem:
            raise self._damaged(path, problem) from problem
        return content

    def _damaged(self, path: pathlib.Path, problem: Exception) -> ValueError:
        return _runner.error(
            f"'{path}' is damaged: it is not what a run has written.",
            received=f"{type(problem).__name__}: {problem}",
            remedy=f"Remove '{self._results}' to have this run made again.",
        )
