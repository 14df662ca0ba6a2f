"""Folders of numbered files: `train/image/0.npy`, `train/label/0.npy`, ..."""

from collections.abc import Collection, Mapping
from typing import Any

from keras_selfaux._checks import error

Files = dict[str, Any]
"""The files of one example: `{kind: path}`."""


def split_files(
    root: Any, kinds: Mapping[str, Collection[str]]
) -> dict[str, list[Files]]:
    """Returns the files of every example of every split.

    Args:
        root: A `pathlib`-like path to a folder with `train` and either `test`
            or, as some call it, `val`; each of them has one folder per kind.
        kinds: `{kind: suffixes}`, such as `{"image": [".png", ".jpg"]}`.

    Returns:
        `{"train": [...], "validation": [...], "test": [...]}`, each in the
        order of the numbers. The last fifth of `train` is for validation.

    Raises:
        ValueError: If a folder is missing or empty, or a file in it is out of
            place or has no counterpart in another one.
    """
    train = _aligned_files(root / "train", kinds)
    held_out = root / "test"
    if not held_out.exists() and (root / "val").exists():
        held_out = root / "val"
    test = _aligned_files(held_out, kinds)
    if len(train) < 2:
        raise error(
            f"{root / 'train'} must hold two examples or more, of which the "
            f"last fifth is for validation.",
            received=f"{len(train)} example",
            remedy="Put all examples there.",
        )
    num_validation = max(1, len(train) // 5)
    return {
        "train": train[:-num_validation],
        "validation": train[-num_validation:],
        "test": test,
    }


def _aligned_files(
    folder: Any, kinds: Mapping[str, Collection[str]]
) -> list[Files]:
    found = {
        kind: _numbered_files(folder / kind, suffixes)
        for kind, suffixes in kinds.items()
    }
    numbers = sorted(set().union(*found.values()))
    missing = [
        (kind, number)
        for number in numbers
        for kind in kinds
        if number not in found[kind]
    ]
    if missing:
        kind, number = missing[0]
        present = next(
            files[number] for files in found.values() if number in files
        )
        raise error(
            f"{folder / kind} must hold a file of number {number}, as there is "
            f"{present}.",
            received=f"none (in all {len(missing)} such files are missing)",
            remedy="Fetch the missing files, or remove their counterparts.",
        )
    return [{kind: found[kind][number] for kind in kinds} for number in numbers]


def _numbered_files(folder: Any, suffixes: Collection[str]) -> dict[int, Any]:
    """Returns `{number: path}`; names with a leading dot are passed over."""
    wanted = f"files such as {', '.join('0' + suffix for suffix in suffixes)}"
    if not folder.is_dir():
        raise error(
            f"{folder} must be a folder of {wanted}.",
            received="no such folder",
            remedy="Fetch it, or correct where the data is looked for.",
        )
    files: dict[int, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not _is_number(path.stem) or path.suffix.lower() not in suffixes:
            raise error(
                f"{folder} must hold {wanted}, and nothing else.",
                received=str(path),
                remedy="Remove or rename it.",
            )
        number = int(path.stem)
        if number in files:
            raise error(
                f"{folder} must hold one file of number {number}.",
                received=f"{files[number]} and {path}",
                remedy="Remove one of them.",
            )
        files[number] = path
    if not files:
        raise error(
            f"{folder} must hold {wanted}.",
            received="an empty folder",
            remedy="Fetch the files.",
        )
    return files


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdecimal()
