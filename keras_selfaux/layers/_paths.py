"""Path tables: which module of each stage a task's features run through."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from keras_selfaux._checks import error, is_iterable
from keras_selfaux._types import Task

PathTable = dict[Task, list[int]]


class StagePlan(NamedTuple):
    """What one stage computes.

    Attributes:
        num_modules: How many copies of the template the stage has.
        reads: For each result, the number of the previous stage's result
            that it reads.
        modules: For each result, the number of the module that makes it.
    """

    num_modules: int
    reads: list[int]
    modules: list[int]


def path_table(
    paths: Any, tasks: Iterable[Task] | None, num_stages: int
) -> PathTable:
    """Returns the table that `"half"`, an integer or a table stands for.

    Args:
        paths: `"half"`, the number of stages to share, or a table.
        tasks: The tasks, for the forms that do not name them.
        num_stages: Number of stages of the encoder.

    Raises:
        ValueError: If `paths` is none of these, or does not fit the stages.
    """
    if isinstance(paths, Mapping):
        checked_names("paths", paths)
        return {
            task: _checked_path(task, path, num_stages)
            for task, path in paths.items()
        }
    is_half = isinstance(paths, str) and paths == "half"
    shared = math.ceil(num_stages / 2) if is_half else paths
    if type(shared) is not int or not 0 <= shared <= num_stages:
        raise error(
            '`paths` must be "half", a number of stages to share, or a table '
            "{task: [module index per stage]}.",
            received=f"paths={paths!r} for {num_stages} stages",
            remedy=f"An integer must lie between 0 and {num_stages}.",
        )
    names = [] if tasks is None else checked_names("tasks", tasks)
    return {
        task: [0] * shared + [index] * (num_stages - shared)
        for index, task in enumerate(names)
    }


def plan_stages(
    table: Mapping[Task, Sequence[int]], num_stages: int
) -> tuple[list[StagePlan], dict[Task, int]]:
    """Plans the computation of every distinct path prefix, once each.

    Results of a stage are ordered by what they read, so that modules with
    a common input stand together.

    Returns:
        A plan per stage, and for each task the number of its features among
        the last stage's results.
    """
    place = dict.fromkeys(table, 0)
    plans = []
    for stage in range(num_stages):
        modules = sorted({path[stage] for path in table.values()})
        prefix = {
            task: (place[task], modules.index(path[stage]))
            for task, path in table.items()
        }
        results = sorted(set(prefix.values()))
        place = {task: results.index(key) for task, key in prefix.items()}
        plans.append(
            StagePlan(
                num_modules=len(modules),
                reads=[read for read, _ in results],
                modules=[module for _, module in results],
            )
        )
    return plans, place


def checked_names(argument: str, names: Any) -> list[Task]:
    """Returns the names of tasks.

    Raises:
        ValueError: If these are no strings, or one is there twice.
    """
    is_list = is_iterable(names) and not isinstance(names, str)
    found = list(names) if is_list else [names]
    named = is_list and all(isinstance(name, str) for name in found)
    if not named or len(set(found)) < len(found):
        raise error(
            f"`{argument}` must name tasks, each once.",
            received=f"{names!r:.100}",
            remedy='Pass names such as ["seg", "depth"].',
        )
    return found


def _checked_path(task: Task, path: Any, num_stages: int) -> list[int]:
    fits = (
        isinstance(path, Sequence)
        and not isinstance(path, str)
        and len(path) == num_stages
        and all(type(index) is int and index >= 0 for index in path)
    )
    if not fits:
        raise error(
            f"`paths` must give task {task!r} one module index per stage.",
            received=f"{path!r} for {num_stages} stages",
            remedy="Pass a list of non-negative integers, one per stage.",
        )
    return list(path)
