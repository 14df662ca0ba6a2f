"""Checks of arguments that several aggregators share."""

import numbers
from typing import Any

import keras

from keras_selfaux._checks import error


def check_count(name: str, value: Any, *, least: int) -> None:
    """Raises unless `value` is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise error(
            f"`{name}` must be an integer of at least {least}.",
            received=f"{name}={value!r}",
            remedy="Pass a number of rows.",
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


def seed_generator(seed: Any) -> Any:
    """Returns a generator of random numbers.

    Raises:
        ValueError: If `seed` is neither an integer nor `None`.
    """
    if seed is not None and (type(seed) is not int or seed < 0):
        raise error(
            "`seed` must be an integer of at least 0, or None.",
            received=f"seed={seed!r}",
            remedy="Pass an integer for the same draws every time.",
        )
    return keras.random.SeedGenerator(seed)
