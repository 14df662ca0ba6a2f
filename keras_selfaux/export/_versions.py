"""Numbered versions of a model, each of which appears at once and whole.

A server looks for folders whose names are whole numbers, and takes up a new
one as soon as it sees it. So a version is written beside the others under a
name that is none, and renamed when it is complete.
"""

import contextlib
import os
import pathlib
import shutil
import types
import uuid
from collections.abc import Iterator

from keras_selfaux._checks import check_count, error

fcntl: types.ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where what killed exports leave stays
    fcntl = None

_PREFIX = ".unfinished-"


def taken_versions(base_path: pathlib.Path) -> set[int]:
    """Returns the version numbers in use, as a server reads them."""
    if not base_path.is_dir():
        return set()
    names = [path.name for path in base_path.iterdir()]
    # "007" is version 7 to a server.
    return {int(n) for n in names if n.isascii() and n.isdecimal()}


def check_base_path(base_path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a local folder.

    Raises:
        ValueError: If it is a URL.
        NotADirectoryError: If it is a file.
    """
    if "://" in os.fspath(base_path):
        raise error(
            "`base_path` must be a local folder: where there is no renaming, "
            "a version cannot appear at once.",
            received=f"base_path={os.fspath(base_path)!r}",
            remedy="Write to a local folder and copy the version from there, "
            "`saved_model.pb` last.",
        )
    path = pathlib.Path(base_path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"`base_path` must be a folder of versions. Received: "
            f"'{path}', which is a file. Pass another path."
        )
    return path


def check_version(base_path: pathlib.Path, version: int | None) -> None:
    """Raises unless a version is free.

    Raises:
        ValueError: If it is no version number.
        FileExistsError: If it is taken.
    """
    if version is None:
        return
    check_count("version", version, least=1)
    taken = taken_versions(base_path)
    if version in taken:
        raise FileExistsError(
            f"'{base_path}' has a version {version} already, and exports are "
            f"never overwritten. Pass version={max(taken) + 1}, or leave it "
            "out for the next one."
        )


@contextlib.contextmanager
def new_version(
    base_path: pathlib.Path, version: int | None
) -> Iterator["NewVersion"]:
    """Gives a folder to write into, which becomes a version in the end.

    After an exception, nothing is left of it. What is left of a process that
    was killed is removed when the next version is made.

    Args:
        base_path: The folder of all versions; made if it is missing.
        version: The number; `None` for the next one.

    Raises:
        FileExistsError: If somebody else made this version meanwhile.
    """
    base_path.mkdir(parents=True, exist_ok=True)
    folder = base_path / f"{_PREFIX}{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        with _locked(base_path):
            _remove_leftovers(base_path)
            # Not by `tempfile`, whose folders only their owner may read.
            folder.mkdir()
            stack.enter_context(_locked(folder))
        new = NewVersion(folder)
        try:
            yield new
            _write_through(folder)
            with _locked(base_path):
                check_version(base_path, version)
                number = (
                    version or max(taken_versions(base_path), default=0) + 1
                )
                new.path = base_path / str(number)
                os.rename(folder, new.path)
                _write_through_entry(base_path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


class NewVersion:
    """A version in the making.

    Attributes:
        folder: Where to write.
        path: Where it is once it is complete.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.path = folder


def _remove_leftovers(base_path: pathlib.Path) -> None:
    """Removes what exports left that were killed."""
    for folder in base_path.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(folder, wait=False) as held:
            # Whoever still writes holds the lock, and the dead hold none.
            if held:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: pathlib.Path, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of a folder, which the end of a process releases.

    Yields whether it is held: not every file system has locks.
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            flags = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
            fcntl.flock(descriptor, flags)
            held = True
        except OSError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def _write_through(folder: pathlib.Path) -> None:
    """Has everything in a folder on the disk before the folder is renamed."""
    for parent, _, names in os.walk(folder):
        for name in (*names, "."):
            _write_through_entry(os.path.join(parent, name))


def _write_through_entry(path: str | os.PathLike[str]) -> None:
    if fcntl is None:  # nor can folders be opened on Windows
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
