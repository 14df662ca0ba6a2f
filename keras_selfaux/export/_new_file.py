"""Files that appear at once and whole, and never in place of another."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from keras_selfaux._checks import error
from keras_selfaux._files import Path
from keras_selfaux.export._unfinished import (
    locked,
    unfinished_folder,
    write_through,
    write_through_entry,
)


def check_new_file(path: Path, suffix: str) -> pathlib.Path:
    """Returns the path of a file that may be written.

    Args:
        path: The file.
        suffix: What its name must end in.

    Raises:
        ValueError: If the name ends otherwise.
        FileExistsError: If it exists already.
    """
    path = pathlib.Path(path)
    if path.suffix != suffix or path.stem == suffix:
        raise error(
            f"`path` must end in {suffix!r}.",
            received=f"path={str(path)!r}",
            remedy=f"Pass the path of a file, such as 'model{suffix}'.",
        )
    if os.path.lexists(path):
        raise _exists(path)
    return path


def _exists(path: pathlib.Path) -> FileExistsError:
    return FileExistsError(
        f"{str(path)!r} exists already, and exports are never overwritten. "
        "Export to a new path, such as one with the next version number."
    )


@contextlib.contextmanager
def new_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives the path of a file that has the name `path` once all went well.

    The folder is made if it is missing. After any failure no file is left.

    Args:
        path: What the file will be called.

    Yields:
        A path in a hidden folder beside it, with the same name.

    Raises:
        FileExistsError: If the name has been taken in the meantime.
    """
    with unfinished_folder(path.parent) as folder:
        unfinished = folder / path.name
        yield unfinished
        write_through(folder)
        with locked(path.parent):
            if os.path.lexists(path):
                raise _exists(path)
            os.rename(unfinished, path)
        write_through_entry(path)
