"""Endless batches for what a callback computes beside the steps of `fit`."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor


def endless_batches(
    name: str, data: Any, batch_size: int, generator: np.random.Generator
) -> Iterator[Any]:
    """Yields batches of data, over and over.

    No random generator is touched but the given one, and those of the data.

    Args:
        name: What an error calls the data.
        data: A `tf.data.Dataset` or `PyDataset` of batches, which come as
            they are; or a tuple of arrays, shuffled anew for every round.
            What remains after the last full batch of a round is left out.
        batch_size: The number of samples in a batch of arrays; fewer if
            there are no more.
        generator: Shuffles arrays.

    Raises:
        ValueError: If there are no data, or if arrays differ in length.
    """
    is_array = isinstance(data, (tuple, list))
    arrays = _as_arrays(name, data) if is_array else None
    while True:
        is_empty = True
        round_of_batches = (
            _shuffled(arrays, batch_size, generator)
            if is_array
            else _in_order(data)
        )
        for batch in round_of_batches:
            is_empty = False
            yield batch
        if is_empty:
            raise error(
                f"`{name}` must hold at least one batch.",
                received="no data",
                remedy="Pass data that are not empty.",
            )


def _in_order(data: Any) -> Iterator[Any]:
    """Yields the batches of a data set once."""
    if not isinstance(data, keras.utils.PyDataset):
        yield from data
        return
    # Its `on_epoch_end` is for `fit` to call, which may read the same object.
    count = data.num_batches
    for index in itertools.count() if count is None else range(count):
        yield keras.tree.map_structure(_as_tensor, data[index])


def _shuffled(
    arrays: Any, batch_size: int, generator: np.random.Generator
) -> Iterator[Any]:
    """Yields full batches of arrays until too few samples are left."""
    count = len(keras.tree.flatten(arrays)[0])
    size = min(batch_size, count)
    order = generator.permutation(count)
    for start in range(0, count - size + 1, size or 1):
        chosen = order[start : start + size]
        if size:
            yield keras.tree.map_structure(
                lambda v, chosen=chosen: _as_tensor(v[chosen]), arrays
            )


def _as_arrays(name: str, data: Any) -> Any:
    """Returns `(x, y)` or `(x, y, sample_weight)` as NumPy arrays.

    Raises:
        ValueError: If they differ in length.
    """
    given = tuple(part for part in data if part is not None)
    arrays = keras.tree.map_structure(ops.convert_to_numpy, given)
    lengths = {len(array) for array in keras.tree.flatten(arrays)}
    if len(lengths) > 1:
        raise error(
            f"All arrays of `{name}` must hold the same number of samples.",
            received=f"{sorted(lengths)} samples",
            remedy="Pass a label for every sample; NaN where it is missing.",
        )
    return arrays


def _as_tensor(values: Any) -> Tensor:
    """Converts as Keras does: floats of 64 bits become `floatx`."""
    if values is None:
        return None
    is_double = getattr(values, "dtype", None) == np.float64
    dtype = keras.config.floatx() if is_double else None
    return ops.convert_to_tensor(values, dtype)
