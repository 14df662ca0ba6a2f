"""A checkpoint on disk: complete, or not there."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_selfaux._checks import error
from keras_selfaux._files import write_json

FORMAT = 1
_NEWEST = "checkpoint.json"
_PREVIOUS = "previous.json"


class Checkpoint(NamedTuple):
    """What was read.

    Attributes:
        content: As it was given to `CheckpointFolder.write`.
        weights: The file that `write` had written by a function.
    """

    content: Any
    weights: pathlib.Path


class CheckpointFolder:
    """Keeps the newest checkpoint in a folder, and the one before if asked.

    A checkpoint is three files: the weights, what else there is as arrays,
    and a JSON file that names both with their checksums. That one is put in
    place last, in one step, so that whoever is killed while writing leaves
    the checkpoint before.

    Args:
        path: The folder.
        keep_previous: Whether to keep the one before, for the case that a
            file of the newest is damaged.
    """

    def __init__(self, path: Any, keep_previous: bool = False) -> None:
        self.path = pathlib.Path(path)
        self._keep_previous = keep_previous

    def write(
        self, content: Any, write_weights: Callable[[pathlib.Path], None]
    ) -> None:
        """Writes a checkpoint.

        Args:
            content: Of dicts with string keys, lists, arrays, strings,
                numbers, booleans and `None`.
            write_weights: Writes the weights to the path it is given, which
                ends in `.weights.h5`.

        Raises:
            OSError: If it could not be written. The one before is still there.
        """
        arrays: dict[str, Any] = {}
        packed = _pack(content, arrays)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            serial = 1 + max(map(_serial, self.path.glob("*-*")), default=0)
            weights = self.path / f"{serial}-.weights.h5"
            others = self.path / f"{serial}-arrays.npz"
            write_weights(weights)
            np.savez(others, **arrays)
            record = {
                "format": FORMAT,
                "content": packed,
                "files": {
                    "weights": _fingerprint(weights),
                    "arrays": _fingerprint(others),
                },
            }
            if self._keep_previous and (self.path / _NEWEST).exists():
                os.replace(self.path / _NEWEST, self.path / _PREVIOUS)
            write_json(self.path / _NEWEST, record)
        # HDF5 has errors of its own for a full disk.
        except (OSError, RuntimeError) as problem:
            with contextlib.suppress(OSError):
                self._clear()
            raise OSError(
                f"The checkpoint could not be written to '{self.path}'. "
                f"Received: {problem}. Make room there, or choose a folder "
                "that can be written to; the checkpoint before, if there was "
                "one, is still there, and the same run goes on from it."
            ) from problem
        self._clear()

    def read(self) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole, or `None`.

        Raises:
            ValueError: If there is one and none is whole.
        """
        problems = []
        for name in (_NEWEST, _PREVIOUS):
            path = self.path / name
            if not path.exists():
                continue
            try:
                return _read(path)
            except (ValueError, OSError, KeyError, TypeError) as problem:
                problems.append(f"{name}: {problem}")
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
                named |= {file["name"] for file in record["files"].values()}
        for path in self.path.glob("*-*"):
            if _serial(path) and path.name not in named:
                path.unlink(missing_ok=True)


def _read(path: pathlib.Path) -> Checkpoint:
    record = json.loads(path.read_text("utf-8"))
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']!r}, not {FORMAT}")
    files = {}
    for kind, wanted in record["files"].items():
        name = pathlib.PurePath(wanted["name"]).name  # of this folder alone
        files[kind] = path.with_name(name)
        if _fingerprint(files[kind]) != wanted:
            raise ValueError(f"'{name}' is not what was written")
    try:
        with np.load(files["arrays"], allow_pickle=False) as stored:
            arrays = dict(stored)
    except zipfile.BadZipFile as problem:
        raise ValueError(str(problem)) from problem
    return Checkpoint(_unpack(record["content"], arrays), files["weights"])


def _fingerprint(path: pathlib.Path) -> dict[str, str]:
    """Returns name and checksum of a file that has reached the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return {"name": path.name, "sha256": digest}


def _serial(path: pathlib.Path) -> int:
    start, is_ours = path.name.split("-")[0], path.suffix in (".h5", ".npz")
    return int(start) if is_ours and start.isdecimal() else 0


def _pack(value: Any, arrays: dict[str, Any]) -> Any:
    """Returns what JSON can hold; numbers of NumPy go to `arrays`."""
    if isinstance(value, dict):
        return {"dict": {k: _pack(v, arrays) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_pack(entry, arrays) for entry in value]
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"float": str(value)}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    name = f"array_{len(arrays)}"
    arrays[name] = np.asarray(value)
    return {"array": name}


def _unpack(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpack(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "dict":
        return {k: _unpack(v, arrays) for k, v in inner.items()}
    return float(inner) if kind == "float" else arrays[inner]
