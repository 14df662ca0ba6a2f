"""Arguments that are a number, or numbers by task."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_selfaux._checks import error, is_number
from keras_selfaux._types import Edge, Task

TaskNumbers = float | Mapping[Task, float]


def checked(name: str, value: Any) -> TaskNumbers:
    """Returns a number as it is, or a plain dict of numbers by task.

    Raises:
        ValueError: If `value` is neither, or a number is not finite.
    """
    is_mapping = isinstance(value, Mapping)
    given = list(value.values()) if is_mapping else [value]
    if not all(_is_finite(number) for number in given):
        raise error(
            f"`{name}` must be a finite number, or one for each task.",
            received=f"{name}={value!r}",
            remedy="Pass a number or {task: number}.",
        )
    found: TaskNumbers = dict(value) if is_mapping else value
    return found


def of_units(
    name: str, given: TaskNumbers, units: Sequence[Edge], default: float
) -> list[float]:
    """Returns the number of each unit: that of the task it learns from.

    Args:
        name: The name of the argument, for messages.
        given: What `checked` returned.
        units: The edges that have a weight of their own.
        default: The number of tasks that `given` does not name.

    Raises:
        ValueError: If `given` names a task that does not exist.
    """
    if not isinstance(given, Mapping):
        return [float(given)] * len(units)
    tasks = {source for source, _ in units}
    unknown = [task for task in given if task not in tasks]
    if unknown:
        raise error(
            f"`{name}` names tasks that the model does not have.",
            received=f"{unknown}",
            remedy=f"Use names from {sorted(tasks)}.",
        )
    return [float(given.get(source, default)) for source, _ in units]


def _is_finite(number: Any) -> bool:
    return is_number(number) and math.isfinite(number)
