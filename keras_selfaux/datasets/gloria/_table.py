"""The rows of `gloria.csv`."""

import csv
import io
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._checks import error
from keras_selfaux._types import Task
from keras_selfaux.datasets._readers import unreadable

NUM_BANDS = 16
LEAST_ROWS = 5

_BANDS = [str(band) for band in range(NUM_BANDS)]
_COLUMNS = ["label", "task", *_BANDS]
_WANTED = f"a table with columns {', '.join(_COLUMNS)}"


class Rows(NamedTuple):
    """One task's rows, in the order of the file."""

    reflectance: NDArray[np.float64]
    """Shape `[N, 16]`."""
    labels: NDArray[np.float64]
    """Shape `[N]`."""


def read_rows(path: Any) -> dict[Task, Rows]:
    """Returns equally many rows of every task: the first ones.

    Args:
        path: A `pathlib`-like path to a file of comma-separated values in
            UTF-8. Its first line names the columns, among them `label`, `task`
            and `0` to `15`, in any order.

    Returns:
        `{task: rows}`, sorted by name, each as long as the shortest.

    Raises:
        ValueError: If the file is not such a table or has a task of fewer than
            five rows.
    """
    of_task: dict[Task, list[list[float]]] = {}
    for task, numbers in _parse(path):
        of_task.setdefault(task, []).append(numbers)
    if not of_task:
        raise unreadable(path, _WANTED, "no rows")
    shortest = min(of_task, key=lambda task: len(of_task[task]))
    num_rows = len(of_task[shortest])
    if num_rows < LEAST_ROWS:
        raise error(
            f"{path} must hold {LEAST_ROWS} rows or more of a task, to have "
            f"some in every split.",
            received=f"{num_rows} of task {shortest!r}",
            remedy="Add rows to this task, or remove it.",
        )
    columns = {task: np.array(of_task[task][:num_rows]) for task in of_task}
    return {
        task: Rows(columns[task][:, 1:], columns[task][:, 0])
        for task in sorted(columns)
    }


def _parse(path: Any) -> Iterator[tuple[Task, list[float]]]:
    """Yields every row's task, and its label with its bands behind it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        place = _places(header, path)
        for row in reader:
            if not row:
                continue  # an empty line
            where = f"{path}, line {reader.line_num},"
            if len(row) != len(header):
                wanted = f"{len(header)} columns, as the first line"
                raise unreadable(where, wanted, len(row))
            task = row[place["task"]].strip()
            if not task:
                raise unreadable(where, "a row with a task", "no name")
            yield (
                task,
                [
                    _number(row[place[name]], name, where)
                    for name in ("label", *_BANDS)
                ],
            )
    except (UnicodeDecodeError, csv.Error) as problem:
        raise unreadable(path, _WANTED, problem) from problem


def _places(header: list[str], path: Any) -> dict[str, int]:
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        found = f"no columns {', '.join(missing)}" if header else "nothing"
        raise unreadable(path, _WANTED, found)
    repeated = [name for name in _COLUMNS if header.count(name) > 1]
    if repeated:
        found = f"more than one column {repeated[0]}"
        raise unreadable(path, _WANTED, found)
    return {name: header.index(name) for name in _COLUMNS}


def _number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        wanted = f"a row with a finite number in column {column}"
        raise unreadable(where, wanted, repr(text))
    return number
