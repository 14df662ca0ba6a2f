"""`TransferGraph`: which task's head is cloned onto which task's branch."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_selfaux._checks import (
    as_numbers,
    check_number,
    check_same_tasks,
    error,
    is_iterable,
)
from keras_selfaux._files import read_json, write_json
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Task


@register
@dataclasses.dataclass(frozen=True)
class TransferGraph:
    """The tasks and the self-auxiliaries between them, as an immutable value.

    An edge `(source, target)` stands for a clone of the source's head on the
    target's branch, trained on the source's labels: the source teaches the
    target, and the target cannot disturb the source. The order in which
    edges are given is kept. Graphs are equal if their tasks and edges are.

    Args:
        tasks: Names of the tasks, each a non-empty string without "/".
        edges: `(source, target)` pairs of task names. Defaults to none.

    Raises:
        ValueError: If tasks are missing, doubled or badly named, or if an
            edge names an unknown task, joins a task to itself, or is given
            twice.

    Example:

    >>> graph = TransferGraph(["seg", "depth"], [("seg", "depth")])
    >>> graph.sources_of("depth")
    ('seg',)
    >>> graph.matrix().tolist()  # [target, source]
    [[True, False], [True, True]]
    """

    tasks: tuple[Task, ...]
    edges: tuple[Edge, ...] = ()

    def __init__(
        self, tasks: Iterable[Task], edges: Iterable[Sequence[Task]] = ()
    ) -> None:
        object.__setattr__(self, "tasks", _checked_tasks(tasks))
        object.__setattr__(self, "edges", _checked_edges(edges, self.tasks))

    @classmethod
    def complete(cls, tasks: Iterable[Task]) -> "TransferGraph":
        """Returns the graph of all T(T-1) edges, ordered by target."""
        tasks = _checked_tasks(tasks)
        return cls(
            tasks,
            [(s, t) for t in tasks for s in tasks if s != t],
        )

    @classmethod
    def empty(cls, tasks: Iterable[Task]) -> "TransferGraph":
        """Returns the graph without edges: plain multi-task learning."""
        return cls(tasks)

    @classmethod
    def from_matrix(
        cls, tasks: Iterable[Task], gains: Any, threshold: float = 0.0
    ) -> "TransferGraph":
        """Returns the graph of the edges whose gain exceeds a threshold.

        Args:
            tasks: Names of the T tasks.
            gains: Array of shape `(T, T)`; `gains[target, source]` is what
                the source brings the target. The diagonal is ignored; NaN
                means unknown, and such an edge is left out.
            threshold: An edge is kept if its gain is greater. Defaults to 0.

        Raises:
            ValueError: If `gains` is not of shape `(T, T)`, or something is
                no number.
        """
        tasks = _checked_tasks(tasks)
        gains = as_numbers("gains", gains)
        if hasattr(threshold, "__array__") and not np.shape(threshold):
            threshold = np.asarray(threshold).item()
        check_number("threshold", threshold)
        if gains.shape != (len(tasks), len(tasks)):
            raise error(
                "`gains` must be a square matrix [target, source] with one "
                "row and one column per task.",
                received=f"shape {gains.shape} for {len(tasks)} tasks",
                remedy=f"Pass an array of shape {(len(tasks), len(tasks))}.",
            )
        return cls(
            tasks,
            [
                (s, t)
                for i, t in enumerate(tasks)
                for j, s in enumerate(tasks)
                if i != j and gains[i, j] > float(threshold)
            ],
        )

    def matrix(self) -> np.ndarray:
        """Returns the bool matrix [target, source], True on the diagonal."""
        index = {task: i for i, task in enumerate(self.tasks)}
        matrix = np.eye(len(self.tasks), dtype=bool)
        for source, target in self.edges:
            matrix[index[target], index[source]] = True
        return matrix

    @property
    def primaries(self) -> tuple[Edge, ...]:
        """The pairs `(task, task)` in the order of the tasks."""
        return tuple((task, task) for task in self.tasks)

    def sources_of(self, target: Task) -> tuple[Task, ...]:
        """Returns the tasks that teach `target`."""
        return tuple(s for s, t in self.edges if t == target)

    def targets_of(self, source: Task) -> tuple[Task, ...]:
        """Returns the tasks that `source` teaches."""
        return tuple(t for s, t in self.edges if s == source)

    def get_config(self) -> dict[str, Any]:
        """Returns a dict of plain lists that `from_config` takes."""
        return {
            "tasks": list(self.tasks),
            "edges": [list(edge) for edge in self.edges],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransferGraph":
        """Returns the graph that `get_config` described.

        Raises:
            ValueError: If it is no such description.
        """
        if not isinstance(config, dict) or set(config) != {"tasks", "edges"}:
            found = list(config) if isinstance(config, dict) else config
            raise error(
                "A transfer graph is described by `tasks` and `edges`.",
                received=f"{found!r:.100}",
                remedy="Pass what `TransferGraph.get_config` returned.",
            )
        return cls(**config)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Writes the graph to a JSON file that `from_json` reads."""
        write_json(path, self.get_config())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "TransferGraph":
        """Reads a graph from a JSON file.

        Args:
            path: A file that holds `{"tasks": [...], "edges": [[source,
                target], ...]}`.

        Raises:
            ValueError: If the file holds something else.
        """
        try:
            return cls.from_config(read_json(path))
        except ValueError as problem:
            raise error(
                f"{str(path)!r} does not hold a transfer graph.",
                received=f"{problem}",
                remedy='It should hold {"tasks": [names], "edges": [[source, '
                "target], ...]} as written by `TransferGraph.to_json`.",
            ) from problem


def _checked_tasks(tasks: Any) -> tuple[Task, ...]:
    remedy = "Name every task once, by a non-empty string without '/'."
    if isinstance(tasks, str) or not is_iterable(tasks):
        raise error(
            "`tasks` must be a list of names.",
            received=f"tasks={tasks!r}",
            remedy=remedy,
        )
    names = tuple(tasks)
    for name in names:
        # "/" would end up in layer and signature names, where it separates.
        if not isinstance(name, str) or not name or "/" in name:
            raise error(
                "`tasks` holds a name that cannot be used.",
                received=f"{name!r}",
                remedy=remedy,
            )
    if not names or len(set(names)) != len(names):
        raise error(
            "`tasks` must hold at least one name, and each only once.",
            received=f"tasks={list(names)}",
            remedy=remedy,
        )
    return names


def _checked_edges(edges: Any, tasks: tuple[Task, ...]) -> tuple[Edge, ...]:
    if isinstance(edges, str) or not is_iterable(edges):
        raise error(
            "`edges` must be a list of (source, target) pairs.",
            received=f"edges={edges!r}",
            remedy='Pass pairs such as [("seg", "depth")].',
        )
    checked: dict[Edge, None] = {}  # a dict keeps the order, unlike a set
    for edge in edges:
        if not isinstance(edge, (list, tuple)) or len(edge) != 2:
            raise error(
                "`edges` holds something that is not a (source, target) pair.",
                received=f"{edge!r}",
                remedy='Pass pairs such as ("seg", "depth").',
            )
        source, target = edge
        for task in (source, target):
            if not isinstance(task, str) or task not in tasks:
                raise error(
                    f"Edge {(source, target)} names the unknown task {task!r}.",
                    received=f"tasks={list(tasks)}",
                    remedy="Use the names of `tasks`.",
                )
        if source == target:
            raise error(
                "An edge must join two different tasks.",
                received=f"{(source, target)}",
                remedy="Leave it out: primaries are always there.",
            )
        if (source, target) in checked:
            raise error(
                "Every edge may be given only once.",
                received=f"{(source, target)} twice",
                remedy="Remove the duplicate.",
            )
        checked[source, target] = None
    return tuple(checked)


def as_graph(auxiliaries: Any, tasks: Sequence[Task]) -> TransferGraph:
    """Returns the graph that a model's `auxiliaries` stand for.

    Args:
        auxiliaries: `"all"`, `"none"`, a `TransferGraph`, or an iterable of
            `(source, target)` edges.
        tasks: The model's tasks, in their order.

    Raises:
        ValueError: If it is none of these, or names other tasks.
    """
    if isinstance(auxiliaries, TransferGraph):
        check_same_tasks("heads", tasks, auxiliaries.tasks)
        return TransferGraph(tasks, auxiliaries.edges)
    if isinstance(auxiliaries, str) and auxiliaries == "all":
        return TransferGraph.complete(tasks)
    if isinstance(auxiliaries, str) and auxiliaries == "none":
        return TransferGraph.empty(tasks)
    if isinstance(auxiliaries, str) or not is_iterable(auxiliaries):
        raise error(
            '`auxiliaries` must be "all", "none", a TransferGraph or a list '
            "of (source, target) edges.",
            received=f"auxiliaries={auxiliaries!r}",
            remedy="Pass one of these.",
        )
    return TransferGraph(tasks, auxiliaries)
