"""What an input that was generated may lead to: a result or a clear error."""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from keras_selfaux._checks import UsageError
from tests.generated import tally

FACTOR = int(os.environ.get("GENERATED_EXAMPLES", "1"))
"""How many times as many inputs as usual are generated."""


def examples(number: int) -> settings:
    """Returns the setting for so many examples, times `FACTOR`."""
    return settings(max_examples=number * FACTOR)


class Outcome(NamedTuple):
    """What came of an input.

    Attributes:
        value: The result, if there is one.
        problem: The clear error, if there is one.
    """

    value: Any = None
    problem: Exception | None = None


def outcome(
    family: str,
    call: Callable[[], Any],
    *,
    path: Any = None,
    by_keras: str | None = None,
) -> Outcome:
    """Returns the result of a call, or the clear error that it raises.

    Any other error fails the test.

    Args:
        family: What kind of input it is, for the figures.
        call: Uses the input.
        path: The file concerned, which an `OSError` must name.
        by_keras: Pattern of the messages by which Keras itself refuses such
            inputs, before this package sees them.
    """
    try:
        value = call()
    except Exception as problem:
        refused_by_keras = (
            by_keras is not None
            and isinstance(problem, (OSError, TypeError, ValueError))
            and re.search(by_keras, str(problem)) is not None
        )
        if not (refused_by_keras or _is_clear(problem, path)):
            pytest.fail(
                f"Not a clear error: {type(problem).__name__}: {problem}"
            )
        tally.count(family, refused=True)
        return Outcome(problem=problem)
    tally.count(family, refused=False)
    return Outcome(value)


def _is_clear(problem: Exception, path: Any) -> bool:
    text = str(problem)
    if isinstance(problem, UsageError):
        return " Received: " in text
    if isinstance(problem, RuntimeError) and " Received: " in text:
        return True
    return (
        isinstance(problem, OSError)
        and path is not None
        and (str(path) in text)
    )
