"""What a model is asked: from the command line, a file, or images."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from examples.serving._clients._signatures import Arrays, Signature
from keras_selfaux._checks import error

_SUFFIXES = (".npy", ".npz", ".json")
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


def from_text(text: str, signature: Signature) -> Arrays:
    """Returns the rows of numbers that `--x` gives.

    Args:
        text: Such as `"0.5,-0.5;0.1,0.2"`: rows between semicolons.
        signature: Which must have a single input. If its rows have another
            shape, the numbers fill it up.

    Raises:
        ValueError: If the text is no such table.
    """
    name = _only(signature)
    try:
        rows = [[float(n) for n in row.split(",")] for row in text.split(";")]
        array = np.array(rows)
    except ValueError as problem:
        raise error(
            "`x` must be rows of equally many numbers.",
            received=f"x={text!r}",
            remedy='Pass such as --x="0.5,-0.5;0.1,0.2".',
        ) from problem
    shape = signature.inputs[name].shape
    if shape is not None and None not in shape[1:]:
        sizes = [size or 0 for size in shape[1:]]
        if np.prod(sizes) == array.shape[1]:
            array = array.reshape(len(array), *sizes)
    if np.dtype(signature.inputs[name].numpy_dtype).kind in "iu":
        array = _whole(array, text)
    return {name: array}


def from_file(path: str, signature: Signature) -> Arrays:
    """Returns the arrays of a file.

    Args:
        path: `.npy`, `.npz`, or `.json` with nested lists. With several
            inputs, `.npz` and `.json` have them by name.
        signature: What is asked.

    Raises:
        ValueError: If it cannot be read, or has no name where one is needed.
    """
    suffix = pathlib.Path(path).suffix
    if suffix not in _SUFFIXES:
        raise error(
            f"`input` must be a file that ends with one of {_SUFFIXES}.",
            received=f"'{path}'",
            remedy="Save it as one of these.",
        )
    try:
        content = _read(path, suffix)
    except Exception as problem:  # whatever damaged files lead to
        raise error(
            "`input` cannot be read.",
            received=f"'{path}' ({problem})",
            remedy="Pass a file with numbers.",
        ) from problem
    if isinstance(content, Mapping):
        return {name: _array(path, value) for name, value in content.items()}
    return {_only(signature): _array(path, content)}


def from_images(paths: Sequence[str], signature: Signature) -> Arrays:
    """Returns the bytes of image files, as one batch.

    Raises:
        ValueError: If one is missing, is no JPEG or PNG, or cannot be decoded;
            or if the signature takes no bytes.
    """
    name = _only(signature)
    if signature.inputs[name].dtype != "string":
        raise error(
            "The signature takes no encoded images.",
            received=f"input '{name}': {signature.inputs[name]}",
            remedy="Pass another --signature, or arrays by --input.",
        )
    return {name: np.array([_image(path) for path in paths], dtype=object)}


def _read(path: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(pathlib.Path(path).read_text("utf-8"))
    # NumPy itself leaves a damaged file open.
    with pathlib.Path(path).open("rb") as file:
        if suffix == ".npy":
            return np.lib.format.read_array(file, allow_pickle=False)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)


def _array(path: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as problem:
        raise error(
            "`input` must hold lists of equal length at every level.",
            received=f"'{path}' ({problem})",
            remedy="Pass rows of equally many numbers.",
        ) from problem


def _whole(array: NDArray[Any], text: str) -> NDArray[Any]:
    if (array != np.round(array)).any() or (np.abs(array) >= 2.0**63).any():
        raise error(
            "`x` must be whole numbers of 64 bits for this model.",
            received=f"x={text!r}",
            remedy="Leave out fractions, and pass smaller numbers.",
        )
    return array.astype(np.int64)


def _image(path: str) -> bytes:
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as problem:
        raise error(
            "`images` must be files that can be read.",
            received=f"'{path}' ({problem.strerror})",
            remedy="Pass paths of JPEG or PNG files.",
        ) from problem
    if not data.startswith((_JPEG, _PNG)):
        raise error(
            "`images` must be JPEG or PNG files.",
            received=f"'{path}', which begins with {data[:8]!r}",
            remedy="Pass paths of JPEG or PNG files.",
        )
    try:
        tf.io.decode_image(data)
    except tf.errors.InvalidArgumentError as problem:
        raise error(
            "`images` must be whole files.",
            received=f"'{path}', which cannot be decoded ({problem.message})",
            remedy="Copy it again.",
        ) from problem
    return data


def _only(signature: Signature) -> str:
    if len(signature.inputs) != 1:
        raise error(
            "The signature has several inputs, so that each needs its name.",
            received=f"inputs {sorted(signature.inputs)}",
            remedy="Pass --input with an .npz or .json file that names them.",
        )
    return next(iter(signature.inputs))
