"""Checks that raise one form of message: wrong, received, remedy.

Every function returns nothing when the value is fine and raises `ValueError`
otherwise, so that no caller can forget to look at a result.
"""

import contextlib
import math
import numbers
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.typing import NDArray


class UsageError(ValueError):
    """What whoever called can mend: the message says how."""


def error(wrong: str, *, received: Any, remedy: str) -> UsageError:
    """Returns a `ValueError` in the package's one form of message."""
    return UsageError(f"{wrong} Received: {received}. {remedy}")


def is_number(value: Any) -> bool:
    """Returns whether `value` is a real number that a float can hold."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:  # an integer of hundreds of digits
        return False


def is_iterable(value: Any) -> bool:
    """Returns whether there is something to iterate over."""
    try:
        iter(value)
    except TypeError:  # an array without axes says so only when asked
        return False
    return True


def shown(names: Iterable[Any]) -> list[Any]:
    """Returns names in the order in which messages list them."""
    return sorted(names, key=str)


def as_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Returns an array of the numbers that `values` holds, float64.

    Raises:
        ValueError: If it holds something else, or rows of unequal lengths.
    """
    try:
        with warnings.catch_warnings():
            # NumPy would drop the imaginary parts of complex numbers.
            warnings.simplefilter("error", ComplexWarning)
            return np.array(values, dtype="float64")
    except (TypeError, ValueError, OverflowError, ComplexWarning) as problem:
        raise error(
            f"`{name}` must be an array of numbers.",
            received=f"{values!r:.100} ({problem})",
            remedy="Pass numbers, in rows of equal length.",
        ) from problem


# What libraries raise where values do not fit. TensorFlow's own errors are
# told by name, since most modules know no backend.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MISFITS_BY_NAME = ("InvalidArgumentError", "UnimplementedError")


def is_misfit(problem: Exception) -> bool:
    """Returns whether an error says that values do not fit a computation.

    Others, such as that memory ran out, are not the values' fault.
    """
    by_name = type(problem).__name__ in _MISFITS_BY_NAME
    return by_name or isinstance(problem, _MISFITS)


# What reading damaged files leads to, beside values that do not fit. h5py
# raises plain errors of these kinds.
_DAMAGE = (EOFError, ImportError, RecursionError, zipfile.BadZipFile)
_DAMAGE_ALONE = (NotImplementedError, RuntimeError)


def is_damage(problem: Exception) -> bool:
    """Returns whether an error may come of what a file or config holds.

    Others, such as that a file may not be read, say more as they are.
    """
    if isinstance(problem, OSError):
        return problem.errno is None  # the system's own errors have one
    return (
        is_misfit(problem)
        or isinstance(problem, _DAMAGE)
        or type(problem) in _DAMAGE_ALONE
    )


@contextlib.contextmanager
def telling_damage(tell: Callable[[str], Exception]) -> Iterator[None]:
    """Tells in clear words what a damaged file or config leads to.

    Args:
        tell: Makes the error of what was raised within the context, as text.

    Raises:
        Exception: What `tell` made.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as problem:
        if not is_damage(problem):
            raise
        raise tell(f"{type(problem).__name__}: {problem}") from problem


_NOT_BY_USERS = ("builtins", "keras", "keras_selfaux")


def is_users_own(rule: Any) -> bool:
    """Returns whether a loss or metric runs code that a user wrote.

    An error within that is theirs to see as it is.
    """
    function = getattr(rule, "fn", getattr(rule, "_fn", rule))
    modules = (getattr(code, "__module__", "") for code in (rule, function))
    return not all(
        str(module).split(".")[0] in _NOT_BY_USERS for module in modules
    )


def add_note(problem: Exception, note: str) -> None:
    """Adds a note that an error keeps on its way through Keras."""
    problem.add_note(note)
    # Else Keras's layers raise a copy, which has no notes.
    vars(problem)["_keras_call_info_injected"] = True


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raises unless `value` is one of `choices`."""
    # Equality alone could be anything: that of arrays is an array.
    is_scalar = isinstance(value, (str, numbers.Number, np.bool_))
    if not any(
        value is choice or (is_scalar and value == choice) for choice in choices
    ):
        raise error(
            f"`{name}` must be one of {list(choices)}.",
            received=f"{name}={value!r}",
            remedy="Pass one of these values.",
        )


def check_number(name: str, value: Any) -> None:
    """Raises unless `value` is a real number."""
    if not is_number(value):
        raise error(
            f"`{name}` must be a number.",
            received=f"{name}={value!r}",
            remedy="Pass a number.",
        )


def check_positive(
    name: str, value: float, *, zero: bool = False, infinite: bool = False
) -> None:
    """Raises unless `value` is positive and finite.

    It may be zero or infinite where that is allowed.
    """
    fits = is_number(value) and value >= 0 and (infinite or value < math.inf)
    if not fits or (value == 0 and not zero):
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
    tasks = list(tasks)
    if isinstance(keys, str) or not is_iterable(keys):
        raise error(
            f"`{name}` must have one entry per task {tasks}.",
            received=f"{name}={keys!r:.100}",
            remedy="Pass a dict by task.",
        )
    keys = list(keys)
    missing = [task for task in tasks if task not in keys]
    unknown = [key for key in keys if key not in tasks]
    if missing or unknown:
        raise error(
            f"`{name}` must have one entry per task {tasks}.",
            received=f"keys {keys} (missing: {shown(missing)}, unknown: "
            f"{shown(unknown)})",
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
    if not (
        is_number(value)
        and (low <= value if interval[0] == "[" else low < value)
        and (value <= high if interval[-1] == "]" else value < high)
    ):
        raise error(
            f"`{name}` must be a number in {interval}.",
            received=f"{name}={value!r}",
            remedy="Pass a number in this range.",
        )
