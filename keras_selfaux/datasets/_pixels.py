"""Images, labels and maps of one form, from arrays of several."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_selfaux._images import resized
from keras_selfaux.datasets._readers import Array, unreadable

Size = tuple[int, int]
"""Height and width in pixels."""

# Numbers such as 1 / 255 * 255 are not exact in single precision.
_ROUNDING = 1e-4
# No label is as large; beyond int64, a cast would make it one.
_MANY = 2**31


def to_image(image: Array, path: Any) -> NDArray[np.uint8]:
    """Returns a colour image, uint8 `[H, W, 3]`.

    Args:
        image: Either uint8 or floating point in [0, 1], `[H, W, 3]`.
        path: Where it is from, for error messages, here and below.

    Raises:
        ValueError: If the array is another one.
    """
    wanted = "an image [H, W, 3], either uint8 or floating point in [0, 1]"
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise unreadable(path, wanted, f"shape {image.shape}")
    if image.dtype == np.uint8:
        return image.astype(np.uint8)
    if image.dtype.kind != "f":
        raise unreadable(path, wanted, f"dtype {image.dtype}")
    inside = (image >= -_ROUNDING) & (image <= 1 + _ROUNDING)
    _check_all(inside, image, path, wanted)
    scaled: Array = np.rint(image.clip(0, 1) * 255)
    return scaled.astype(np.uint8)


def to_labels(
    labels: Array,
    path: Any,
    wanted: str,
    is_known: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
) -> NDArray[np.int64]:
    """Returns labels, int64 `[H, W]`.

    Args:
        labels: Whole numbers of any type, `[H, W]` or `[H, W, 1]`.
        path: Where they are from.
        wanted: Which numbers they should be.
        is_known: Tells for every label whether it is one of those.

    Raises:
        ValueError: If the array is another one.
    """
    wanted += ", [H, W] or [H, W, 1]"
    labels = _one_channel(labels, path, wanted)
    is_whole = (labels == np.floor(labels)) & (np.abs(labels) < _MANY)
    _check_all(is_whole, labels, path, wanted)
    labels = labels.astype(np.int64)
    _check_all(is_known(labels), labels, path, wanted)
    return labels


def to_map(
    values: Array, path: Any, wanted: str, channels: int = 1
) -> NDArray[np.float32]:
    """Returns a map of numbers, float32 `[H, W, channels]`.

    Args:
        values: Finite numbers, `[H, W, channels]`; also `[H, W]` if it is one
            channel.
        path: Where they are from.
        wanted: What they should be.
        channels: How many there are. Defaults to 1.

    Raises:
        ValueError: If the array is another one.
    """
    if channels == 1:
        values = _one_channel(values, path, wanted)[..., np.newaxis]
    _check_numbers(values, path, wanted)
    if values.ndim != 3 or values.shape[-1] != channels or 0 in values.shape:
        raise unreadable(path, wanted, f"shape {values.shape}")
    # Tested after the cast, in which a large double becomes infinite.
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    _check_all(np.isfinite(values), values, path, wanted)
    return values


def check_size(array: Array, size: Size, path: Any) -> None:
    """Raises unless an array `[H, W, ...]` is of this height and width."""
    if array.shape[:2] != size:
        raise unreadable(
            path,
            f"{size[0]} pixels high and {size[1]} wide",
            f"{array.shape[0]} high, {array.shape[1]} wide",
        )


def resize_image(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Returns an image `[H, W, 3]` in another size, averaged over areas."""
    if image.shape[:2] == size:
        return image
    pixels: NDArray[np.uint8] = resized(image, size).numpy()
    return pixels


def resize_nearest(array: Array, size: Size) -> Array:
    """Returns an array `[H, W, ...]` in another size, with no new values."""
    # The source pixel in which the middle of a new one lies.
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, array.shape[:2], strict=True)
    )
    return np.asarray(array[rows[:, np.newaxis], columns])


def _one_channel(values: Array, path: Any, wanted: str) -> Array:
    _check_numbers(values, path, wanted)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or 0 in values.shape:
        raise unreadable(path, wanted, f"shape {values.shape}")
    return values


def _check_numbers(values: Array, path: Any, wanted: str) -> None:
    if values.dtype.kind not in "iuf":
        raise unreadable(path, wanted, f"dtype {values.dtype}")


def _check_all(fine: Array, values: Array, path: Any, wanted: str) -> None:
    if not fine.all():
        bad = values[~fine]
        found = f"{bad[0]} (in all {bad.size} such values)"
        raise unreadable(path, wanted, found)
