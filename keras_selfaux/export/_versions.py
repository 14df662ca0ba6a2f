"""Numbered versions of a model, each of which appears at once and whole.

A server looks for folders whose names are whole numbers, and takes up a new
one as soon as it sees it. So a version is written beside the others under a
name that is none, and renamed when it is complete.
"""

import contextlib
import operator
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_selfaux._checks import error
from keras_selfaux.export._unfinished import (
    locked,
    unfinished_folder,
    write_through,
    write_through_entry,
)

_HIGHEST = 2**63 - 1
"""Servers read version numbers as int64."""


def taken_versions(base_path: pathlib.Path) -> set[int]:
    """Returns the version numbers in use, as a server reads them."""
    if not base_path.is_dir():
        return set()
    names = [path.name for path in base_path.iterdir()]
    # "007" is version 7 to a server.
    return {int(n) for n in names if n.isascii() and n.isdecimal()}


def check_base_path(base_path: Any) -> pathlib.Path:
    """Returns the path of a local folder.

    Raises:
        ValueError: If it is no path, or a URL.
        NotADirectoryError: If there is something else of that name.
    """
    is_path = isinstance(base_path, str | os.PathLike)
    if not is_path or not (name := os.fspath(base_path)) or "://" in name:
        raise error(
            "`base_path` must be a local folder: where there is no renaming, "
            "a version cannot appear at once.",
            received=f"base_path={base_path!r}",
            remedy="Write to a local folder and copy the version from there, "
            "`saved_model.pb` last.",
        )
    path = pathlib.Path(base_path)
    if os.path.lexists(path) and not path.is_dir():
        raise NotADirectoryError(
            f"`base_path` must be a folder of versions. Received: '{path}', "
            "which is something else. Pass another path."
        )
    return path


def check_version(base_path: pathlib.Path, version: Any) -> None:
    """Raises unless a version is free.

    Raises:
        ValueError: If it is no version number.
        FileExistsError: If it is taken.
    """
    if version is None:
        return
    try:
        number = operator.index(version)
    except TypeError:
        number = 0
    if isinstance(version, bool) or not 1 <= number <= _HIGHEST:
        raise error(
            f"`version` must be an integer from 1 to {_HIGHEST}.",
            received=f"version={version!r}",
            remedy="Pass a whole number, or leave it out for the next one.",
        )
    taken = taken_versions(base_path)
    if number in taken:
        raise FileExistsError(
            f"'{base_path}' has a version {number} already, and exports are "
            f"never overwritten. Pass version={max(taken) + 1}, or leave it "
            "out for the next one."
        )


@contextlib.contextmanager
def new_version(
    base_path: pathlib.Path, version: int | None
) -> Iterator["NewVersion"]:
    """Gives a folder to write into, which becomes a version in the end.

    Args:
        base_path: The folder of all versions; made if it is missing.
        version: The number; `None` for the next one.

    Raises:
        FileExistsError: If somebody else made this version meanwhile.
    """
    with unfinished_folder(base_path) as folder:
        new = NewVersion(folder)
        yield new
        write_through(folder)
        with locked(base_path):
            check_version(base_path, version)
            number = version or max(taken_versions(base_path), default=0) + 1
            new.path = base_path / str(number)
            os.rename(folder, new.path)
        write_through_entry(new.path)


class NewVersion:
    """A version in the making.

    Attributes:
        folder: Where to write.
        path: Where it is once it is complete.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.path = folder
