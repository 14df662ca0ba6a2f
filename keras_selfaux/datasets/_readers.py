"""Arrays from files; what cannot be read is named."""

import importlib
import io
import warnings
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_selfaux._checks import error

Array = NDArray[Any]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3


def read_array(path: Any) -> Array:
    """Returns a file's array, unchanged in values and type.

    Args:
        path: A `pathlib`-like path to a .npy, .png, .jpg, .jpeg, .tif or .tiff
            file. Files that hold pickled objects are never opened.

    Returns:
        The array of a .npy file; of all else pixels of shape `[H, W]` or
        `[H, W, channels]`, with the channels of the file.

    Raises:
        ValueError: If the file is not what its name says, or is cut off.
    """
    return _READERS[path.suffix.lower()](path)


def unreadable(path: Any, wanted: str, found: Any) -> ValueError:
    """Returns the error that a file is not what it should be."""
    return error(
        f"{path} must be {wanted}.",
        received=" ".join(str(found).split()).rstrip("."),
        remedy="Fetch or make the file anew.",
    )


def _read_npy(path: Any) -> Array:
    wanted = "a whole .npy file that holds one array of numbers"
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except Exception as problem:  # a header is a literal of Python's
        raise unreadable(path, wanted, problem) from problem
    if not isinstance(array, np.ndarray):
        # NumPy opens archives of several arrays as well, whatever their name.
        raise unreadable(path, wanted, f"a {type(array).__name__}")
    return array


def _read_png(path: Any) -> Array:
    wanted = "a whole PNG file of 8 or 16 bits per channel, without a palette"
    content = path.read_bytes()
    header = content[:26]
    if len(header) < 26 or not header.startswith(_PNG_SIGNATURE):
        raise unreadable(path, wanted, "no PNG header")
    bits, colour_type = header[24:]
    # TensorFlow scales values of other depths without a word, and replaces
    # numbers of a palette by colours.
    if bits not in (8, 16) or colour_type == _PALETTE:
        found = (
            f"{bits} bits, {'a' if colour_type == _PALETTE else 'no'} palette"
        )
        raise unreadable(path, wanted, found)
    try:
        # As anything but its own type, values would be scaled.
        pixels = tf.io.decode_png(
            content, dtype=tf.uint16 if bits == 16 else tf.uint8
        )
    except tf.errors.InvalidArgumentError as problem:
        raise unreadable(path, wanted, problem.message) from problem
    return np.asarray(pixels)


def _read_jpeg(path: Any) -> Array:
    try:
        return np.asarray(tf.io.decode_jpeg(path.read_bytes()))
    except tf.errors.InvalidArgumentError as problem:
        wanted = "a whole JPEG file"
        raise unreadable(path, wanted, problem.message) from problem


def _read_tiff(path: Any) -> Array:
    try:
        pillow = importlib.import_module("PIL.Image")
    except ImportError as missing:
        raise error(
            f"{path} can be read only with Pillow.",
            received="no package `PIL`",
            remedy="Run `pip install pillow`, or turn the file into .npy.",
        ) from missing
    try:
        with warnings.catch_warnings():
            # Pillow warns of files that are cut off before it raises.
            warnings.simplefilter("ignore", UserWarning)
            with pillow.open(io.BytesIO(path.read_bytes())) as image:
                return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as problem:
        raise unreadable(path, "a whole TIFF file", problem) from problem


_READERS = {
    ".npy": _read_npy,
    ".png": _read_png,
    ".jpg": _read_jpeg,
    ".jpeg": _read_jpeg,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
}
