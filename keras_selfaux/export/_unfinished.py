"""What is being written: hidden until it is complete, gone after a failure."""

import contextlib
import os
import pathlib
import shutil
import types
import uuid
from collections.abc import Iterator

fcntl: types.ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where what killed exports leave stays
    fcntl = None

_PREFIX = ".unfinished-"


@contextlib.contextmanager
def unfinished_folder(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a new folder to write into, under a name that nobody looks for.

    When all went well, whoever called has moved what was written to its own
    name; whatever is still there, also after an exception, is removed. What is
    left of a process that was killed is removed when the next folder is made.

    Args:
        parent: Where it is made; itself made if it is missing.

    Yields:
        The folder, which is on the same file system as `parent`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        with locked(parent):
            _remove_leftovers(parent)
            # Not by `tempfile`, whose folders only their owner may read.
            folder.mkdir()
            stack.enter_context(locked(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(base_path: pathlib.Path) -> None:
    """Removes what exports left that were killed."""
    for folder in base_path.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), locked(folder, wait=False) as held:
            # Whoever still writes holds the lock, and the dead hold none.
            if held:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: pathlib.Path, wait: bool = True) -> Iterator[bool]:
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
        # Closing is not enough: a process forked meanwhile has it open, too.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def write_through(folder: pathlib.Path) -> None:
    """Has everything in a folder on the disk before the folder is renamed."""
    for parent, _, names in os.walk(folder):
        for name in (*names, "."):
            _write_through(os.path.join(parent, name))


def write_through_entry(path: pathlib.Path) -> None:
    """Has a new name in a folder on the disk, as far as that can be had."""
    with contextlib.suppress(OSError):
        _write_through(path.parent)


def _write_through(path: str | os.PathLike[str]) -> None:
    if fcntl is None:  # nor can folders be opened on Windows
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
