"""Files: whole or not there when written, named when they are damaged."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_selfaux._checks import UsageError, error

Path = str | os.PathLike[str]


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        ValueError: If it does not hold JSON.
        OSError: If it cannot be read.
    """
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except RecursionError as problem:
        raise ValueError("lists or objects nested too deeply") from problem


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file at once, and its folder if it is missing.

    Args:
        path: The file.
        content: What JSON can hold; NaN and infinity it cannot.
    """
    text = json.dumps(content, indent=2, allow_nan=False)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text + "\n", encoding="utf-8")
    os.replace(unfinished, path)


@contextlib.contextmanager
def naming_weights(path: Path) -> Iterator[None]:
    """Names the file whose weights are loaded within the context.

    Raises:
        ValueError: If anything goes wrong.
        FileNotFoundError: If there is no such file.
    """
    try:
        yield
    except (FileNotFoundError, UsageError):
        raise
    except Exception as problem:  # whatever damaged files lead to
        raise error(
            f"'{os.fspath(path)}' does not hold the weights of this model.",
            received=f"{type(problem).__name__}: {problem}",
            remedy="Pass a file that `save_weights` wrote for a model built "
            "and compiled alike.",
        ) from problem
