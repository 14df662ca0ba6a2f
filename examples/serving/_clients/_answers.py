"""Answers: as a table to read, and as files."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples import _runner, _tables
from examples.serving._clients._signatures import (
    Arrays,
    Metadata,
    VersionStatus,
)
from keras_selfaux._checks import error

_SUFFIXES = (".npz", ".json")
_NUM_ROWS = 5
_NUM_VALUES = 6


def table(answers: Mapping[str, NDArray[Any]]) -> list[str]:
    """Returns the lines of a table of answers.

    Of vectors it shows the first few rows; of pictures and the like the
    smallest, the mean and the largest value.
    """
    rows = [("task", "shape", "answers")]
    for task, array in answers.items():
        shape = "x".join(map(str, array.shape))
        lines = _lines(array)
        rows.append((task, shape, lines[0]))
        rows += [("", "", line) for line in lines[1:]]
    return _tables.text(rows)


def status_table(versions: Sequence[VersionStatus]) -> list[str]:
    """Returns the lines of a table of versions."""
    return [
        f"version {entry.version}  {entry.state}  {entry.message}".rstrip()
        for entry in versions
    ]


def metadata_table(metadata: Metadata) -> list[str]:
    """Returns the lines of a table of signatures."""
    lines = [f"version {metadata.version}"]
    for name, signature in metadata.signatures.items():
        lines.append(f"signature {name}")
        lines += [f"  in   {n}: {t}" for n, t in signature.inputs.items()]
        lines += [f"  out  {n}: {t}" for n, t in signature.outputs.items()]
    return lines


def check_free(paths: Sequence[str], overwrite: bool) -> None:
    """Raises unless files of these names may be written.

    Raises:
        FileExistsError: If there is one already.
        ValueError: If one is a folder.
    """
    for path in paths:
        if path and pathlib.Path(path).is_dir():
            raise error(
                "`output` and `picture` must be files.",
                received=f"'{path}', which is a folder",
                remedy="Pass the name of a file in it.",
            )
        if path and pathlib.Path(path).exists() and not overwrite:
            raise FileExistsError(
                f"'{path}' is there already. Pass --overwrite to replace it, "
                "or another name."
            )


def check_suffix(path: str) -> None:
    """Raises unless answers can be written into a file of this name."""
    if pathlib.Path(path).suffix not in _SUFFIXES:
        raise error(
            f"`output` must be a file that ends with one of {_SUFFIXES}.",
            received=f"'{path}'",
            remedy="Pass such a name.",
        )


def save(path: str, answers: Arrays) -> None:
    """Writes answers at once: a reader never finds half of them."""
    file = pathlib.Path(path)
    if file.suffix == ".json":
        content = {task: _nested(array) for task, array in answers.items()}
        _runner.write_json(file, content)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        np.savez(unfinished, **answers)
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


def _lines(array: NDArray[Any]) -> list[str]:
    if not array.size:
        return ["(none)"]
    if array.dtype.kind in "OSU":
        return [_text(value) for value in array.ravel()[:_NUM_ROWS]]
    if array.ndim > 2:
        low, mean, high = np.min(array), np.mean(array), np.max(array)
        return [f"min {low:.4g}  mean {mean:.4g}  max {high:.4g}"]
    rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
    lines = [_row(row) for row in rows[:_NUM_ROWS]]
    if len(rows) > _NUM_ROWS:
        lines.append(f"... {len(rows) - _NUM_ROWS} more")
    return lines


def _row(values: NDArray[Any]) -> str:
    texts = [f"{value:.6g}" for value in values[:_NUM_VALUES]]
    more = ["..."] if len(values) > _NUM_VALUES else []
    return "  ".join([*(text.rjust(10) for text in texts), *more])


def _text(value: Any) -> str:
    return repr(value[:40])


def _nested(array: NDArray[Any]) -> Any:
    if array.dtype.kind not in "OS":
        return array.tolist()
    texts = [value.decode(errors="replace") for value in array.flat]
    return np.array(texts, dtype=object).reshape(array.shape).tolist()
