"""Runs that are kept one by one, so that an interruption costs little.

While a run trains, a checkpoint is written now and then; when it has ended,
its results are, and its weights where they are asked for. Whoever comes again
with the same folder gets what was kept, or goes on from the checkpoint.
"""

import pathlib
import shutil
import zipfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_selfaux import metrics
from keras_selfaux._files import read_json
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

# What comes of reading something else.
_DAMAGE = (AttributeError, LookupError, TypeError, ValueError)


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
        self._weights = folder / f"{name}_{seed}.npz"
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
            DivergedError: If training diverged.
            ValueError: If files of an earlier run are damaged.
        """
        if self.has_ended:
            return read_result(self._results)
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
        except _runner.DivergedError:
            # It would diverge again if it went on.
            self._forget_backup()
            raise
        if is_chief():
            if keep_model:
                with _runner.written_at_once(self._weights) as path:
                    # Not by HDF5, which a full disk takes down.
                    np.savez(path, *model.get_weights())
                _runner.write_json(self._history, history.get_state())
            # Last, since this says that all is there.
            _runner.write_json(self._results, result, allow_nan=True)
            self._forget_backup()
        return result

    def history(self) -> _report.WeightHistory:
        """Returns the task weights over the epochs."""
        history = _report.WeightHistory()
        try:
            history.set_state(read_json(self._history))
        except _DAMAGE as problem:
            raise damaged(self._history, problem) from problem
        return history

    def model(self, problem: Problem, method: Method) -> keras.Model:
        """Returns the model as it was when training had ended.

        On one device, whatever it was trained on.
        """
        model = _training.build_model(
            problem, method, problem.tasks, num_steps=1, name=self.name
        )
        try:
            with np.load(self._weights, allow_pickle=False) as stored:
                names = [f"arr_{i}" for i in range(len(stored.files))]
                model.set_weights([stored[name] for name in names])
        except (*_DAMAGE, OSError, zipfile.BadZipFile) as found:
            raise damaged(self._weights, found) from found
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


def read_result(path: pathlib.Path) -> Results:
    """Returns the result of a run that has ended.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        result: Results = read_json(path)
        scores = result["scores"]
        ones = {task: dict.fromkeys(of, 1.0) for task, of in scores.items()}
        metrics.task_changes(scores, ones)  # raises if these are no scores
        for name in ("method", "seed", "seconds", "parameters"):
            result[name]
    except _DAMAGE as problem:
        raise damaged(path, problem) from problem
    return result


def damaged(path: pathlib.Path, problem: Exception) -> ValueError:
    """Returns the error for a file that is not what a run has written."""
    return _runner.error(
        f"'{path}' is damaged: it is not what a run has written.",
        received=f"{type(problem).__name__}: {problem}",
        remedy="Remove the files of this run to have it made again.",
    )
