"""A checkpoint on disk: complete, or not there."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import warnings
from typing import Any

import numpy as np

from keras_selfaux._checks import UsageError, error
from keras_selfaux._files import write_json

FORMAT = 1
_NEWEST = "checkpoint.json"
_PREVIOUS = "previous.json"


class CheckpointFolder:
    """Keeps the newest checkpoint in a folder, and the one before if asked.

    A checkpoint is two files: its arrays, and a JSON file with the rest that
    names the first with its checksum. It is put in place last, in one step,
    so that whoever is killed while writing leaves the checkpoint before.

    HDF5 is not used: on a full disk it takes the whole process down.

    Args:
        path: The folder.
        keep_previous: Whether to keep the one before, for the case that a
            file of the newest is damaged.
    """

    def __init__(self, path: Any, keep_previous: bool = False) -> None:
        self.path = pathlib.Path(path)
        self._keep_previous = keep_previous

    def write(self, content: Any) -> None:
        """Writes a checkpoint.

        Args:
            content: Of dicts with string keys, lists, arrays, strings,
                numbers, booleans and `None`.

        Raises:
            OSError: If it could not be written. The one before is still there.
        """
        arrays: dict[str, Any] = {}
        packed = _pack(content, arrays)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            serial = 1 + max(map(_serial, self.path.iterdir()), default=0)
            path = self.path / f"{serial}.npz"
            np.savez(path, **arrays)
            record = {
                "format": FORMAT,
                "content": packed,
                "arrays": path.name,
                "sha256": _checksum(path),
            }
            if self._keep_previous and (self.path / _NEWEST).exists():
                os.replace(self.path / _NEWEST, self.path / _PREVIOUS)
            write_json(self.path / _NEWEST, record)
            self._clear()
        except OSError as problem:
            with contextlib.suppress(OSError):
                self._clear()
            raise OSError(
                f"The checkpoint could not be written to '{self.path}'. "
                f"Received: {problem}. Make room there, or choose a folder "
                "that can be written to; the checkpoint before, if there was "
                "one, is still there, and the same run goes on from it."
            ) from problem

    def read(self) -> Any:
        """Returns the content of the newest whole checkpoint, or `None`.

        Raises:
            ValueError: If there is one and none is whole.
        """
        problems = []
        for name in (_NEWEST, _PREVIOUS):
            path = self.path / name
            if not path.exists():
                continue
            try:
                found = _read(path)
            except (ValueError, OSError, KeyError, TypeError) as problem:
                problems.append(f"{name}: {problem}")
                continue
            if problems:
                warnings.warn(
                    f"The newest checkpoint in '{self.path}' is damaged "
                    f"({problems[0]}). Going on from the one before.",
                    stacklevel=2,
                )
            return found
        if not problems:
            return None
        raise error(
            f"The checkpoint in '{self.path}' is damaged.",
            received="; ".join(problems),
            remedy="Remove the folder to start anew, or bring the files back.",
        )

    def remove(self) -> None:
        """Removes all checkpoints, and the folder if nothing else is in it."""
        for name in (_NEWEST, _PREVIOUS):
            (self.path / name).unlink(missing_ok=True)
        if self.path.exists():
            self._clear()
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def _clear(self) -> None:
        """Removes the files that no checkpoint names."""
        named = set()
        for name in (_NEWEST, _PREVIOUS):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads((self.path / name).read_text("utf-8"))
                named.add(record["arrays"])
        for path in self.path.iterdir():
            # The last are those of writers that were killed.
            is_old = _serial(path) and path.name not in named
            if is_old or path.name.endswith(f".{_NEWEST}"):
                path.unlink(missing_ok=True)


def _read(path: pathlib.Path) -> Any:
    record = json.loads(path.read_text("utf-8"))
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']!r}, not {FORMAT}")
    name = pathlib.PurePath(record["arrays"]).name  # of this folder alone
    if _checksum(path.with_name(name)) != record["sha256"]:
        raise ValueError(f"'{name}' is not what was written")
    with np.load(path.with_name(name), allow_pickle=False) as stored:
        arrays = dict(stored)
    return _unpack(record["content"], arrays)


def _checksum(path: pathlib.Path) -> str:
    """Returns the checksum of a file that has reached the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _serial(path: pathlib.Path) -> int:
    is_ours = path.suffix == ".npz" and path.stem.isdecimal()
    return int(path.stem) if is_ours else 0


def _pack(value: Any, arrays: dict[str, Any]) -> Any:
    """Returns what JSON can hold; numbers of NumPy go to `arrays`."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _unknown(value)
        return {"dict": {k: _pack(v, arrays) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_pack(entry, arrays) for entry in value]
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"float": str(value)}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "OM":
        raise _unknown(value)
    name = f"array_{len(arrays)}"
    # NumPy does not know bfloat16 when it reads a file.
    is_known = array.dtype.kind != "V"
    arrays[name] = array if is_known else array.view(f"u{array.itemsize}")
    return {"array": [name, str(array.dtype)]}


def _unknown(value: Any) -> UsageError:
    return error(
        "The state of a callback must be of dicts with string keys, lists, "
        "arrays, strings, numbers, booleans and None.",
        received=f"{value!r:.100}",
        remedy="Return such a state from its `get_state`.",
    )


def _unpack(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpack(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "dict":
        return {k: _unpack(v, arrays) for k, v in inner.items()}
    if kind == "float":
        return float(inner)
    name, dtype = inner
    return arrays[name].view(np.dtype(dtype))
