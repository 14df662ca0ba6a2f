"""Mean relative change against single-task learning."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_selfaux._checks import check_same_tasks, error, shown
from keras_selfaux._types import PerTask, Task

Scores = PerTask[Mapping[str, float]]
"""One value per metric, for every task."""

Directions = Mapping[str, bool | Mapping[str, bool]]
"""Keys are metrics, or tasks whose values are such a mapping of metrics."""

_DIRECTION = (bool, np.bool_)


def delta_m(
    results: Scores,
    baselines: Scores,
    higher_is_better: Directions | None = None,
) -> float:
    """Returns Δm, the mean of `task_changes` over tasks.

    Every task counts the same, however many metrics it has.

    Args:
        results: `{task: {metric: value}}` of the multi-task model.
        baselines: The same tasks and metrics, of single-task networks.
        higher_is_better: See `task_changes`. Defaults to `None`: all metrics
            are errors.

    Returns:
        A change in percent; above zero the model is better than the single
        tasks. NaN if a result is NaN.

    Raises:
        ValueError: As `task_changes` does.

    Example:

    >>> delta_m({"a": {"error": 0.5}}, {"a": {"error": 1.0}})
    50.0
    """
    changes = task_changes(results, baselines, higher_is_better)
    return _mean(changes.values())


def task_changes(
    results: Scores,
    baselines: Scores,
    higher_is_better: Directions | None = None,
) -> dict[Task, float]:
    """Returns each task's relative change against its baseline, in percent.

    A metric changes by `(result - baseline) / |baseline|`, with the sign
    turned where lower is better; a task by the mean over its metrics.

    Args:
        results: `{task: {metric: value}}` of the multi-task model.
        baselines: The same tasks and metrics, of single-task networks. Finite
            and not zero.
        higher_is_better: `{metric: bool}` for every task, or
            `{task: {metric: bool}}`, or both, where the entry under the task
            wins. Metrics without an entry are errors, for which lower is
            better. Defaults to `None`: all metrics are errors.

    Returns:
        `{task: change in percent}` in the order of `baselines`; above zero the
        task is better than its baseline.

    Raises:
        ValueError: If tasks or metrics differ between `results` and
            `baselines`, a task has no metric, a baseline is zero or not
            finite, or `higher_is_better` names an unknown task or metric.

    Example:

    >>> scores = {"a": {"accuracy": 0.75}, "b": {"error": 2.0}}
    >>> task_changes(
    ...     scores,
    ...     {"a": {"accuracy": 0.5}, "b": {"error": 1.0}},
    ...     higher_is_better={"accuracy": True},
    ... )
    {'a': 50.0, 'b': -100.0}
    """
    directions = {} if higher_is_better is None else higher_is_better
    _check_scores(results, baselines)
    _check_directions(directions, baselines)
    return {
        task: 100.0
        * _mean(
            _change(results[task][metric], baseline)
            * (1.0 if _is_higher_better(directions, task, metric) else -1.0)
            for metric, baseline in metrics.items()
        )
        for task, metrics in baselines.items()
    }


def _change(result: float, baseline: float) -> float:
    # The magnitude, so that a baseline below zero does not turn the sign.
    return (float(result) - float(baseline)) / abs(float(baseline))


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    try:
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):  # infinities, or nearly so
        return sum(value / len(values) for value in values)


def _is_higher_better(directions: Directions, task: Task, metric: str) -> bool:
    of_task = directions.get(task)
    if isinstance(of_task, Mapping) and metric in of_task:
        return bool(of_task[metric])
    of_metric = directions.get(metric, False)
    return isinstance(of_metric, _DIRECTION) and bool(of_metric)


def _check_scores(results: Scores, baselines: Scores) -> None:
    _check_tables("results", results)
    _check_tables("baselines", baselines)
    if not baselines:
        raise error(
            "`baselines` must have at least one task.",
            received=f"baselines={baselines!r}",
            remedy="Pass {task: {metric: value}}.",
        )
    check_same_tasks("results", results, baselines)
    for task, metrics in baselines.items():
        if not metrics or set(metrics) != set(results[task]):
            raise error(
                f"`results` and `baselines` must have the same metrics, at "
                f"least one, for task {task!r}.",
                received=f"metrics {shown(results[task])} in results and "
                f"{shown(metrics)} in baselines",
                remedy="Leave out what only one of them has.",
            )
        for metric, value in metrics.items():
            if value == 0 or not math.isfinite(value):
                raise error(
                    f"The baseline of metric {metric!r} of task {task!r} must "
                    f"be finite and not zero: changes are relative to it.",
                    received=f"{value!r}",
                    remedy="Leave this metric out of results and baselines.",
                )


def _check_tables(name: str, scores: Any) -> None:
    """Raises unless scores are numbers by task and metric."""
    tables = [*scores.values()] if isinstance(scores, Mapping) else [scores]
    if not all(isinstance(table, Mapping) for table in tables):
        raise error(
            f"`{name}` must be {{task: {{metric: value}}}}.",
            received=f"{name}={scores!r:.200}",
            remedy="Pass a dict of numbers for every task.",
        )
    for task, table in scores.items():
        for metric, value in table.items():
            if not _is_score(value):
                raise error(
                    f"`{name}` must have a number for metric {metric!r} of "
                    f"task {task!r}.",
                    received=f"{value!r:.100}",
                    remedy="Pass a float; NaN stands for an unknown result.",
                )


def _is_score(value: Any) -> bool:
    # Lists could be of any shape, and strings would be read as numbers.
    not_meant = (str, bytes, bool, list, tuple, Mapping)
    if isinstance(value, not_meant) or np.ndim(value):
        return False
    # A complex number would lose its imaginary part.
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not np.iscomplexobj(value)


def _check_directions(directions: Directions, baselines: Scores) -> None:
    if not isinstance(directions, Mapping):
        raise error(
            "`higher_is_better` must be a dict by metric or task.",
            received=f"higher_is_better={directions!r:.100}",
            remedy="Pass {metric: bool}, {task: {metric: bool}} or both.",
        )
    # An unknown name would quietly turn the sign of the metric it meant.
    every_metric = {name for metrics in baselines.values() for name in metrics}
    for key, value in directions.items():
        choices = [*value.values()] if isinstance(value, Mapping) else [value]
        if not all(isinstance(choice, _DIRECTION) for choice in choices):
            raise error(
                f"`higher_is_better` must be True or False under {key!r}.",
                received=f"{key!r}: {value!r:.100}",
                remedy="Pass {metric: bool}, {task: {metric: bool}} or both.",
            )
        if isinstance(value, Mapping):
            known = key in baselines and set(value) <= set(baselines[key])
        else:
            known = key in every_metric
        if not known:
            raise error(
                f"`higher_is_better` names a task or metric without baseline "
                f"under {key!r}.",
                received=f"{key!r}: {value!r}",
                remedy=f"Use the tasks {list(baselines)} and the metrics "
                f"{shown(every_metric)}.",
            )
