"""`CompiledMetrics`: the metrics of `compile`, equal ones at once."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._checks import (
    UsageError,
    add_note,
    error,
    is_misfit,
    is_users_own,
)
from keras_selfaux._types import PerTask, Task, Tensor
from keras_selfaux.metrics._mean_kind import MeanKind, mean_kind
from keras_selfaux.metrics._samples import Samples
from keras_selfaux.metrics._stacked_mean import StackedMean


class _Use(NamedTuple):
    """A metric of a task.

    Attributes:
        metric: The metric, or what `compile` was given for it.
        task: The task.
        weighted: Whether samples weigh what the user said.
    """

    metric: Any
    task: Task
    weighted: bool


class _Stack(NamedTuple):
    """Equal metrics of several tasks."""

    metric: StackedMean
    tasks: list[Task]
    weighted: bool


class CompiledMetrics(keras.metrics.Metric):
    """Tracks the metrics of all tasks.

    Metrics that are means of values per sample are computed at once for the
    tasks whose metrics are of one config and whose labels and predictions
    are of one shape; all others one by one.

    Args:
        container: Keras's class for the metrics of `compile`, which turns
            names and the like into metrics once shapes are known.
        metrics: `{task: metrics}`, for which all samples weigh alike.
        weighted_metrics: `{task: metrics}`, weighted by sample weights.
        tasks: Names of the T tasks.
        kept: Metrics that the user may ask for their result, so that they
            need a state of their own.
    """

    def __init__(
        self,
        container: Any,
        metrics: PerTask[Sequence[Any]],
        weighted_metrics: PerTask[Sequence[Any]],
        tasks: Sequence[Task],
        kept: Collection[Any] = (),
        name: str = "compile_metrics",
    ) -> None:
        super().__init__(name=name)
        uses = [
            _Use(metric, task, weighted)
            for weighted, given in ((False, metrics), (True, weighted_metrics))
            for task in tasks
            for metric in given.get(task, ())
        ]
        # Writing past `__setattr__` keeps Keras from tracking metrics, and
        # with them variables of metrics that a stack replaces.
        self.__dict__.update(
            built=False,
            _container=container,
            _uses=uses,
            _kept={id(metric) for metric in kept},
            _prefixed=len(tasks) > 1,
            _singles=[],
            _stacks=[],
            _results={},
        )

    @property
    def metrics(self) -> list[Any]:
        """The metrics that keep a state."""
        return [use.metric for use in (*self._stacks, *self._singles)]

    @property
    def variables(self) -> list[Any]:
        """The states of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    def build(
        self, labels: PerTask[Tensor], predictions: PerTask[Tensor]
    ) -> None:
        """Makes the metrics, for labels and predictions of these shapes."""
        examples: dict[Any, Any] = {}
        groups: dict[Any, list[tuple[_Use, str]]] = {}
        kinds: dict[Any, MeanKind] = {}
        namer = _Namer(prefixed=self._prefixed)
        for use in self._uses:
            y_true, y_pred = labels[use.task], predictions[use.task]
            spec = (_spec(y_true), _spec(y_pred))
            given = use.metric
            # Variables take long to make: what "mae" stands for is found
            # out once, not for every task.
            form = (given if isinstance(given, str) else id(given), spec)
            if form not in examples:
                examples[form] = self._made(use, y_true, y_pred)
            kind = mean_kind(examples[form], tuple(y_pred.shape))
            key: Any = len(groups)
            if kind is not None and id(given) not in self._kept:
                key = (kind.key, spec, use.weighted)
                kinds[key] = kind
            name = namer(examples[form].name, use)
            self._results[name] = None  # holds its place
            groups.setdefault(key, []).append((use, name))
        for key, members in groups.items():
            if len(members) > 1:
                self._add_stack(kinds[key], members)
                continue
            [(use, name)] = members
            made = self._made(use, labels[use.task], predictions[use.task])
            self._singles.append(use._replace(metric=made))
            self._results[name] = made, None
        self.__dict__.update(built=True)

    def _made(self, use: _Use, y_true: Tensor, y_pred: Tensor) -> Any:
        """Returns the metric that Keras makes for a use."""
        container = self._container([use.metric], None)
        try:
            container.build(y_true, y_pred)
        except ValueError as problem:
            raise error(
                f"A metric of task {use.task!r} cannot be used: "
                f"{use.metric!r}.",
                received=str(problem),
                remedy="Pass a Keras metric, its name or a function.",
            ) from problem
        return container.metrics[0]

    def _add_stack(
        self, kind: MeanKind, members: Sequence[tuple[_Use, str]]
    ) -> None:
        metric = StackedMean(kind, len(members))
        tasks = [use.task for use, _ in members]
        self._stacks.append(_Stack(metric, tasks, members[0][0].weighted))
        for row, (_, name) in enumerate(members):
            self._results[name] = metric, row

    def update_state(self, samples: Samples) -> None:
        """Adds a batch."""
        if not self.built:
            self.build(samples.labels, samples.predictions)
        for metric, tasks, weighted in self._stacks:
            with _named_misfits(metric, tasks[0]):
                metric.update_state(*samples.stacked(tasks, weighted=weighted))
        for metric, task, weighted in self._singles:
            with _named_misfits(metric, task):
                metric.update_state(*samples.of(task, weighted=weighted))

    def reset_state(self) -> None:
        """Forgets all batches."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Returns `{"<task>_<metric>": result}`."""
        rows = {
            id(metric): ops.unstack(metric.result(), num=len(tasks))
            for metric, tasks, _ in self._stacks
        }
        return {
            name: metric.result() if row is None else rows[id(metric)][row]
            for name, (metric, row) in self._results.items()
        }


@contextlib.contextmanager
def _named_misfits(metric: Any, task: Task) -> Iterator[None]:
    """Tells which metric of which task cannot be computed.

    Raises:
        ValueError: If a metric of Keras's or this package's fails. One that
            the user wrote raises its own error, with a note.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as problem:
        if is_users_own(metric):
            add_note(problem, f"In metric {metric.name!r} of task {task!r}.")
            raise
        if not is_misfit(problem):
            raise
        raise error(
            f"Metric {metric.name!r} of task {task!r} cannot be computed of "
            "its labels and predictions.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Pass a metric for labels of this form.",
        ) from problem


class _Namer:
    """Names results, told apart as Keras does it.

    Args:
        prefixed: Whether names begin with the task.
    """

    def __init__(self, *, prefixed: bool) -> None:
        self._prefixed = prefixed
        self._counts: dict[str, int] = {}

    def __call__(self, metric: str, use: _Use) -> str:
        """Returns the name for the result of a metric of this name."""
        prefix = f"{use.task}_" if self._prefixed else ""
        name = f"{prefix}{metric}"
        if use.weighted and name in self._counts:
            name = f"{prefix}weighted_{metric}"
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{name}_{count}" if count else name


def _spec(value: Tensor) -> tuple[Any, str]:
    return tuple(value.shape), str(value.dtype)
