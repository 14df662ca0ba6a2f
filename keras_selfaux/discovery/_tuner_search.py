"""Enumeration by KerasTuner: every network is a trial of a search.

A search that was killed goes on where it was, and a chief and its workers
share it, as KerasTuner does it:
https://keras.io/keras_tuner/guides/distributed_tuning/
"""

import gc
import os
import pathlib
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras_tuner

from keras_selfaux._checks import error, telling_damage
from keras_selfaux._compile import loss_weights_by_task
from keras_selfaux._files import write_json
from keras_selfaux._types import Task
from keras_selfaux.discovery._gains import Run
from keras_selfaux.discovery._logs import Best, BestEpochs, Scores, Watched
from keras_selfaux.discovery._networks import Network
from keras_selfaux.discovery._search import Search, built, fit
from keras_selfaux.discovery._settings import TRIALS
from keras_selfaux.model import SelfAuxModel

_EPOCH = "best_epoch"
_OBJECTIVE = "network_loss"


def search_trials(search: Search, folder: pathlib.Path) -> list[Run] | None:
    """Trains the networks one by one, or helps others to do so.

    Args:
        search: What to train, and on what.
        folder: Where KerasTuner keeps its files; the same one for a chief and
            its workers.

    Returns:
        All runs; `None` in a worker, of which the chief has the results.
    """
    oracle = EnumerationOracle(search.networks)
    tuner = EnumerationTuner(search, oracle, folder)
    try:
        tuner.search(verbose=int(search.verbose))
    except keras_tuner.errors.FatalError as problem:
        raise problem.__cause__ or problem from None
    if tuner.oracle is not oracle:
        return None
    with _naming_trials(folder):
        runs: list[Run] = oracle.runs()
    return runs


def _naming_trials(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Names the folder whose trials are read within the context.

    Raises:
        ValueError: If they are damaged.
    """
    return telling_damage(
        lambda found: error(
            f"'{folder / TRIALS}' holds trials that cannot be read.",
            received=found,
            remedy="Pass overwrite=True to start anew, or another directory.",
        )
    )


class EnumerationTuner(keras_tuner.Tuner):
    """Trains a network per trial.

    Args:
        search: What to train, and on what.
        oracle: Says which network is next.
        folder: Where KerasTuner keeps its files.
    """

    def __init__(
        self, search: Search, oracle: "EnumerationOracle", folder: pathlib.Path
    ) -> None:
        self._search = search
        super().__init__(oracle, directory=str(folder), project_name=TRIALS)

    def run_trial(self, trial: Any, **kwargs: Any) -> dict[str, float]:
        """Trains a network and returns its metrics."""
        search = self._search
        run_id = trial.hyperparameters.get("network")
        network = next(n for n in search.networks if n.run_id == run_id)
        try:
            best = _trained(search, network)
        except Exception as problem:
            # Else KerasTuner would go on with the next network, which most
            # likely fails in the same way.
            raise keras_tuner.errors.FatalError(str(problem)) from problem
        found = {
            f"{task}/{metric}": value
            for task, of_task in best.scores.items()
            for metric, value in of_task.items()
        }
        loss = min(best.loss, sys.float_info.max)  # JSON has no infinity
        return {**found, _OBJECTIVE: loss, _EPOCH: best.epoch}

    def reload(self) -> None:
        """Reads the trials of an interrupted search.

        Raises:
            ValueError: If they are damaged.
        """
        with _naming_trials(pathlib.Path(self.directory)):
            super().reload()

    def save(self) -> None:
        """Writes the oracle's state and the mark that there is one."""
        if isinstance(self.oracle, keras_tuner.Oracle):
            self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())

    def _get_tuner_fname(self) -> str:
        # One name for a single process and for a chief: a search may be
        # begun as the one and go on as the other.
        if isinstance(self.oracle, keras_tuner.Oracle):
            return os.path.join(self.project_dir, "tuner.json")
        name: str = super()._get_tuner_fname()
        return name


def _trained(search: Search, network: Network) -> Best:
    model = built(search, network)
    tasks = network.tasks
    best = BestEpochs(
        [Watched({t: t for t in tasks}, _loss_weights(model, tasks))],
        search.judge.check,
    )
    fit(search, model, tasks, [best])
    # Models refer to themselves; without this, they would pile up.
    del model
    gc.collect()
    return best.best[0]


def _loss_weights(model: Any, tasks: Sequence[Task]) -> dict[Task, float]:
    """Returns what each task's loss counts.

    Raises:
        ValueError: If Keras does not log the task's own loss.
    """
    if isinstance(model, SelfAuxModel):
        return dict(zip(tasks, model.edge_scales, strict=False))
    given = model._compile_loss._user_loss_weights
    weights = loss_weights_by_task(given, tasks)
    if len(tasks) == 1 and (model.losses or weights != {tasks[0]: 1.0}):
        # With a single output there is no log but the total.
        raise error(
            "The loss of a task alone cannot be told from its weight and from "
            "what layers add.",
            received=f"a {type(model).__name__} with `loss_weights` or a "
            "regularizer",
            remedy="Leave these out, or make it a `SelfAuxModel`.",
        )
    return weights


class EnumerationOracle(keras_tuner.Oracle):
    """Hands out each network once.

    Args:
        networks: The networks.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.Choice("network", [n.run_id for n in networks])
        super().__init__(
            keras_tuner.Objective(_OBJECTIVE, "min"),
            hyperparameters=hyperparameters,
            allow_new_entries=False,
            tune_new_entries=False,
            seed=1,  # nothing is drawn
        )
        self._networks = {n.run_id: n for n in networks}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the first network that no trial has yet."""
        taken = {t.hyperparameters.get("network") for t in self._useful()}
        for run_id in self._networks:
            if run_id not in taken:
                return {"status": "RUNNING", "values": {"network": run_id}}
        return {"status": "STOPPED"}

    def _useful(self) -> list[Any]:
        """Returns the trials that have ended well, or still may."""
        waiting = {*self._retry_queue}
        waiting |= {trial.trial_id for trial in self.ongoing_trials.values()}
        return [
            trial
            for trial in self.trials.values()
            if trial.status == "COMPLETED" or trial.trial_id in waiting
        ]

    def runs(self) -> list[Run]:
        """Returns what came out, in the order of the networks."""
        ended = {
            trial.hyperparameters.get("network"): trial
            for trial in self._useful()
        }
        return [_run(n, ended[i].metrics) for i, n in self._networks.items()]

    def reload(self) -> None:
        """Reads the state of an interrupted search."""
        super().reload()
        # A kill may come when a trial has ended and the oracle has not yet
        # written that it did.
        self._retry_queue: list[str] = [
            trial_id
            for trial_id in self._retry_queue
            if self.trials[trial_id].status != "COMPLETED"
        ]

    # A file that is cut short by a kill would keep the search from resuming.
    def _save_trial(self, trial: Any) -> None:
        path = os.path.join(self._get_trial_dir(trial.trial_id), "trial.json")
        write_json(path, trial.get_state())

    def save(self) -> None:
        """Writes the oracle's own state."""
        write_json(self._get_oracle_fname(), self.get_state())


def _run(network: Network, metrics: Any) -> Run:
    found = {name: metrics.get_last_value(name) for name in metrics.metrics}
    scores: Scores = {task: {} for task in network.tasks}
    epoch = int(found.pop(_EPOCH))
    del found[_OBJECTIVE]
    for name, value in found.items():
        task, metric = name.split("/", 1)
        scores[task][metric] = value
    return Run(network.run_id, network.tasks, network.seed, epoch, scores)
