"""Files: whole or not there when written, named when they are damaged."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from keras_selfaux._checks import error, telling_damage

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


def write_json(path: Path, content: Any, *, allow_nan: bool = False) -> None:
    """Writes a JSON file at once, and its folder if it is missing.

    Args:
        path: The file.
        content: What JSON can hold.
        allow_nan: Whether NaN and infinity may be in it, which Python reads
            and JSON does not know. Defaults to `False`.

    Raises:
        OSError: If it cannot be written; a file that was there still is.
    """
    text = json.dumps(content, indent=2, allow_nan=allow_nan)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file at once, and its folder if it is missing.

    Raises:
        OSError: If it cannot be written; a file that was there still is.
    """
    with written_at_once(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def written_at_once(path: Path) -> Iterator[pathlib.Path]:
    """Gives a path to write to, which becomes the file's when all is there.

    Args:
        path: The file. Its folder is made if it is missing.

    Yields:
        A path beside it, of the same suffixes.

    Raises:
        OSError: If it cannot be written; a file that was there still is.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as problem:
        raise OSError(
            f"'{path}' could not be written. Received: {problem}. Make room "
            "there, or choose a folder that can be written to."
        ) from problem
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def naming_weights(path: Path) -> AbstractContextManager[None]:
    """Names the file whose weights are loaded within the context.

    Raises:
        ValueError: If it is damaged, or of another model.
        OSError: If it is not there or cannot be read.
    """
    return telling_damage(
        lambda found: error(
            f"'{os.fspath(path)}' does not hold the weights of this model.",
            received=found,
            remedy="Pass a file that `save_weights` wrote for a model built "
            "and compiled alike.",
        )
    )
