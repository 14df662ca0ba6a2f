"""From the metrics of single tasks and pairs to gains."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._types import Task
from keras_selfaux.discovery._gains import Run, TransferGains
from keras_selfaux.discovery._logs import Scores
from keras_selfaux.metrics import task_changes
from keras_selfaux.metrics._delta_m import Directions

Metrics = str | Sequence[str] | Mapping[Task, str | Sequence[str]]


class Judge:
    """Says how much better a task does in a pair than alone.

    Args:
        tasks: Names of the tasks.
        metrics: The metrics to judge by: one or several for all tasks, or
            by task, named as in the logs but for the task.
        higher_is_better: `{metric: bool}`, `{task: {metric: bool}}`, or
            both. `"loss"` need not be in it.

    Raises:
        ValueError: If tasks, metrics or directions do not fit each other.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        metrics: Metrics | None,
        higher_is_better: Directions | None,
    ) -> None:
        self._tasks = list(tasks)
        self.metrics = _by_task(metrics, tasks)
        directions = higher_is_better or {}
        # Raises if there is a name in it that means nothing.
        ones = {t: dict.fromkeys(m, 1.0) for t, m in self.metrics.items()}
        task_changes(ones, ones, directions)
        self._directions = {
            task: {m: _direction(directions, task, m) for m in names}
            for task, names in self.metrics.items()
        }

    def gains(self, runs: Iterable[Run]) -> TransferGains:
        """Returns the gains of runs of every task alone and every pair.

        Raises:
            ValueError: If a run lacks a metric.
        """
        runs = tuple(runs)
        for task in self._tasks:
            of_task = [run.metrics.get(task, {}) for run in runs]
            measured = {name: 0.0 for found in of_task for name in found}
            if measured:
                self.check({task: measured})
        index = {task: number for number, task in enumerate(self._tasks)}
        seeds = list(dict.fromkeys(run.seed for run in runs))
        alone = {
            (run.tasks[0], run.seed): run for run in runs if len(run.tasks) == 1
        }
        gains = np.full((len(seeds), len(index), len(index)), math.nan)
        for run in runs:
            if len(run.tasks) == 1:
                continue
            for target, source in (run.tasks, run.tasks[::-1]):
                gains[seeds.index(run.seed), index[target], index[source]] = (
                    self._change(target, run, alone[target, run.seed])
                )
        return TransferGains(self._tasks, gains, runs=runs)

    def _change(self, task: Task, pair: Run, alone: Run) -> float:
        together, single = (self._scores(task, run) for run in (pair, alone))
        values = (*together.values(), *single.values())
        if not all(map(math.isfinite, values)) or 0 in single.values():
            return math.nan  # there is no such relative change
        return task_changes(
            {task: together}, {task: single}, {task: self._directions[task]}
        )[task]

    def _scores(self, task: Task, run: Run) -> dict[str, float]:
        if not run.best_epoch:  # its loss was never a number
            return dict.fromkeys(self.metrics[task], math.nan)
        found = run.metrics[task]
        return {m: found.get(m, math.nan) for m in self.metrics[task]}

    def check(self, scores: Scores) -> None:
        """Raises if a task was not measured by what it is judged by.

        Args:
            scores: `{task: {metric: value}}` of some of the tasks.
        """
        for task, found in scores.items():
            missing = [name for name in self.metrics[task] if name not in found]
            if missing:
                raise error(
                    f"`metrics` names what task {task!r} is not measured by.",
                    received=f"{missing}; measured: {sorted(found)}",
                    remedy="Pass the metric to `compile` in `build_model`.",
                )


def _by_task(
    metrics: Metrics | None, tasks: Sequence[Task]
) -> dict[Task, list[str]]:
    if metrics is None:
        metrics = "loss"
    if not isinstance(metrics, Mapping):
        metrics = dict.fromkeys(tasks, metrics)
    check_same_tasks("metrics", metrics, tasks)
    by_task: dict[Task, list[str]] = {}
    for task in tasks:
        given = metrics[task]
        by_task[task] = [given] if isinstance(given, str) else list(given)
    for task, names in by_task.items():
        if not names or not all(isinstance(name, str) for name in names):
            raise error(
                f"`metrics` must name at least one metric for task {task!r}.",
                received=f"{names}",
                remedy='Pass names as in the logs, such as "loss" or "mae".',
            )
    return by_task


def _direction(directions: Any, task: Task, metric: str) -> bool:
    of_task = directions.get(task, {})
    found = of_task.get(metric, directions.get(metric))
    if found is None and metric != "loss":
        raise error(
            f"`higher_is_better` does not say in which direction metric "
            f"{metric!r} of task {task!r} is better.",
            received=f"higher_is_better={directions!r}",
            remedy=f"Add {{{metric!r}: True}} or {{{metric!r}: False}}.",
        )
    return bool(found)
