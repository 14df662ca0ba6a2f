"""What an input that was generated may lead to: a result or a clear error."""

import os
import pathlib
import re
import traceback
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


_MEANT = {
    # Where whatever a file, config or array holds is taken apart.
    "_branched_encoder.py": {"from_config"},
    "_checkpoint.py": {
        "<dictcomp>",
        "<listcomp>",
        "_checked",
        "_floats",
        "read_state",
    },
    "_checks.py": {"as_numbers"},
    "_files.py": {"read_json"},
    "_gains.py": {"<listcomp>", "from_json"},
    "_head_bank.py": {"from_config"},
    "_inputs.py": {"_array"},
    "_saved_model.py": {"read_meta_graph"},
    "_static.py": {"_by_key"},
    "model.py": {"from_config"},
}
"""Functions whose own errors, by file, may stand behind a clear one."""


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
        if crash := _crash_behind(problem):
            pytest.fail(f"A crash that was called a bad input: {crash}")
        tally.count(family, refused=True)
        return Outcome(problem=problem)
    tally.count(family, refused=False)
    return Outcome(value)


def _crash_behind(problem: BaseException) -> str | None:
    """Returns where this package failed before it said something clear."""
    while (cause := problem.__cause__) is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        if not isinstance(cause, UsageError) and frames:
            path = pathlib.Path(frames[-1].filename)
            is_meant = frames[-1].name in _MEANT.get(path.name, ())
            if "keras_selfaux" in path.parts and not is_meant:
                return f"{path.name}, {frames[-1].name}: {cause!r}"
        problem = cause
    return None


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
