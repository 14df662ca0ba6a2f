"""`TransferGains`: what every task brings every other."""

import dataclasses
import math
import numbers
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._checks import as_numbers, check_positive, error, is_iterable
from keras_selfaux._files import read_json, write_json
from keras_selfaux._types import Task
from keras_selfaux.graph import TransferGraph


class Run(NamedTuple):
    """One network of an enumeration, trained.

    Attributes:
        run_id: Its name, such as `"seg/depth/seed_0"`.
        tasks: The tasks that trained together.
        seed: The seed of its initial weights.
        best_epoch: The epoch with the least validation loss, counted from 1;
            0 if the loss was never a number.
        metrics: The validation metrics of that epoch,
            `{task: {metric: value}}`.
    """

    run_id: str
    tasks: tuple[Task, ...]
    seed: int
    best_epoch: int
    metrics: dict[Task, dict[str, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class TransferGains:
    """How much each task gains from each other one, seed by seed.

    Args:
        tasks: Names of the T tasks.
        by_seed: Array of shape `(S, T, T)`, or `(T, T)` for a single seed;
            `by_seed[i, target, source]` is what the source brings the
            target, above zero if it helps. NaN and infinity mean unknown.
            The diagonal is ignored.
        measure: What the numbers are. Defaults to `"gain (%)"`.
        runs: What they were computed from. Defaults to nothing.

    Raises:
        ValueError: If tasks or shapes do not fit, or if something is of the
            wrong kind.

    Example:

    >>> gains = keras_selfaux.discovery.TransferGains(
    ...     ["seg", "depth"], [[0.0, -1.5], [4.0, 0.0]]
    ... )
    >>> gains.graph().edges
    (('seg', 'depth'),)
    """

    tasks: tuple[Task, ...]
    by_seed: NDArray[np.float64]
    measure: str
    runs: tuple[Run, ...]

    def __init__(
        self,
        tasks: Iterable[Task],
        by_seed: Any,
        measure: str = "gain (%)",
        runs: Iterable[Run] = (),
    ) -> None:
        tasks = TransferGraph(tasks).tasks
        values = as_numbers("by_seed", by_seed)
        if values.ndim == 2:
            values = values[None]
        if (
            values.ndim != 3
            or values.shape[1:] != (len(tasks),) * 2
            or not len(values)
        ):
            raise error(
                "`by_seed` must have the shape (seeds, tasks, tasks).",
                received=f"shape {values.shape} for {len(tasks)} tasks",
                remedy="Pass one matrix [target, source] per seed.",
            )
        runs = tuple(runs) if is_iterable(runs) else runs
        values[:, range(len(tasks)), range(len(tasks))] = 0.0
        values[np.isinf(values)] = np.nan
        values.flags.writeable = False
        _check_runs(runs)
        object.__setattr__(self, "tasks", tasks)
        object.__setattr__(self, "by_seed", values)
        object.__setattr__(self, "measure", str(measure))
        object.__setattr__(self, "runs", runs)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over seeds, `[target, source]`, float64 `(T, T)`.

        NaN where a seed's value is unknown; 0 on the diagonal.
        """
        mean: NDArray[np.float64] = self.by_seed.mean(axis=0)
        return mean

    @property
    def std(self) -> NDArray[np.float64]:
        """The standard deviation over seeds, float64 `(T, T)`.

        NaN off the diagonal if there is only one seed.
        """
        if len(self.by_seed) == 1:
            return np.where(np.eye(len(self.tasks), dtype=bool), 0.0, np.nan)
        std: NDArray[np.float64] = self.by_seed.std(axis=0, ddof=1)
        return std

    def graph(
        self, threshold: float = 0.0, standard_errors: float = 0.0
    ) -> TransferGraph:
        """Returns the graph of the edges that are worth having.

        Args:
            threshold: An edge is kept if its mean gain is greater. Defaults
                to 0.
            standard_errors: By how many standard errors of the mean it has
                to be greater. Defaults to 0: as the mean says.

        Raises:
            ValueError: If standard errors are asked for of a single seed.
        """
        check_positive("standard_errors", standard_errors, zero=True)
        gains = self.mean
        if standard_errors:
            if len(self.by_seed) == 1:
                raise error(
                    "One seed has no standard error.",
                    received=f"standard_errors={standard_errors!r}",
                    remedy="Enumerate with several seeds, or pass 0.",
                )
            error_of_mean = self.std / math.sqrt(len(self.by_seed))
            gains = gains - standard_errors * error_of_mean
        return TransferGraph.from_matrix(self.tasks, gains, threshold)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file that `from_json` reads."""
        content = {
            "tasks": list(self.tasks),
            "measure": self.measure,
            "mean": _listed(self.mean),
            "std": _listed(self.std),
            "by_seed": _listed(self.by_seed),
            "runs": [
                {**run._asdict(), "metrics": _listed(run.metrics)}
                for run in self.runs
            ],
        }
        write_json(path, content)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "TransferGains":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If the file holds something else.
        """
        try:
            content = read_json(path)
            runs = [
                Run(
                    run["run_id"],
                    tuple(run["tasks"]),
                    run["seed"],
                    run["best_epoch"],
                    _numbers(run["metrics"]),
                )
                for run in content["runs"]
            ]
            return cls(
                content["tasks"],
                _numbers(content["by_seed"]),
                content["measure"],
                runs,
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
        ) as problem:
            raise error(
                f"{str(path)!r} does not hold transfer gains.",
                received=f"{type(problem).__name__}: {problem}",
                remedy="Pass a file written by `TransferGains.to_json`.",
            ) from problem


def _check_runs(runs: Any) -> None:
    """Raises unless these are runs whose entries are of the right kinds."""
    is_list = isinstance(runs, (list, tuple))
    if not is_list or not all(map(_is_run, runs)):
        raise error(
            "`runs` must be a list of `Run`s, with names, whole numbers, and "
            "metrics {task: {metric: value}}.",
            received=f"runs={runs!r:.200}",
            remedy="Pass the runs of an enumeration, or leave them out.",
        )


def _is_run(run: Any) -> bool:
    return (
        isinstance(run, Run)
        and isinstance(run.run_id, str)
        and all(isinstance(task, str) for task in run.tasks)
        and type(run.seed) is type(run.best_epoch) is int
        and isinstance(run.metrics, dict)
        and all(isinstance(found, dict) for found in run.metrics.values())
        and all(
            isinstance(value, numbers.Real)
            for found in run.metrics.values()
            for value in found.values()
        )
    )


def _listed(values: Any) -> Any:
    """Turns arrays into lists and NaN, which JSON lacks, into `None`."""
    if isinstance(values, dict):
        return {key: _listed(value) for key, value in values.items()}
    if isinstance(values, (Sequence, np.ndarray)):
        return [_listed(value) for value in values]
    return float(values) if math.isfinite(values) else None


def _numbers(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _numbers(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return math.nan if values is None else float(values)
