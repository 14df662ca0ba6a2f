"""Checks that raise one form of message: wrong, received, remedy.

Every function returns nothing when the value is fine and raises `ValueError`
otherwise, so that no caller can forget to look at a result.
"""

import numbers
from collections.abc import Collection, Iterable
from typing import Any


class UsageError(ValueError):
    """What whoever called can mend: the message says how."""


def error(wrong: str, *, received: Any, remedy: str) -> UsageError:
    """Returns a `ValueError` in the package's one form of message."""
    return UsageError(f"{wrong} Received: {received}. {remedy}")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raises unless `value` is one of `choices`."""
    if value not in choices:
        raise error(
            f"`{name}` must be one of {sorted(choices, key=str)}.",
            received=f"{name}={value!r}",
            remedy="Pass one of these values.",
        )


def check_positive(name: str, value: float, *, zero: bool = False) -> None:
    """Raises unless `value` is a positive number (or zero, where allowed)."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not (value > 0 or (zero and value == 0)):
        wanted = "zero or a positive number" if zero else "a positive number"
        raise error(
            f"`{name}` must be {wanted}.",
            received=f"{name}={value!r}",
            remedy=f"Pass {wanted}.",
        )


def check_same_tasks(
    name: str, keys: Iterable[str], tasks: Iterable[str]
) -> None:
    """Raises unless the keys of the argument `name` are exactly the tasks."""
    keys, tasks = list(keys), list(tasks)
    if set(keys) != set(tasks):
        missing = sorted(set(tasks) - set(keys))
        unknown = sorted(set(keys) - set(tasks))
        raise error(
            f"`{name}` must have one entry per task {tasks}.",
            received=f"keys {keys} (missing: {missing}, unknown: {unknown})",
            remedy="Use the same task names for encoder outputs, heads, "
            "losses and labels.",
        )


def check_count(name: str, value: Any, *, least: int) -> None:
    """Raises unless `value` is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise error(
            f"`{name}` must be an integer of at least {least}.",
            received=f"{name}={value!r}",
            remedy="Pass a whole number.",
        )


def check_within(name: str, value: Any, interval: str) -> None:
    """Raises unless `value` is a number in an interval such as `"[0, 1)"`."""
    low, high = (float(end) for end in interval[1:-1].split(","))
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (
        is_number
        and (low <= value if interval[0] == "[" else low < value)
        and (value <= high if interval[-1] == "]" else value < high)
    ):
        raise error(
            f"`{name}` must be a number in {interval}.",
            received=f"{name}={value!r}",
            remedy="Pass a number in this range.",
        )
