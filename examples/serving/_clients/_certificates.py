"""The certificates that a client trusts."""

import pathlib

from keras_selfaux._checks import error


def read(path: str) -> bytes | None:
    """Returns the content of a PEM file; `None` for those of the system.

    Raises:
        ValueError: If it cannot be read.
    """
    if not path:
        return None
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as problem:
        raise error(
            "`root_certificates` cannot be read.",
            received=f"'{path}' ({problem.strerror})",
            remedy="Pass the path of a PEM file.",
        ) from problem
