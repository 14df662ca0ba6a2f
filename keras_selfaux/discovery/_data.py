"""The data of an enumeration: the same batches for every network."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._labels import SingleTaskLabels
from keras_selfaux._types import Task


class Batches(NamedTuple):
    """Training data in an order that depends on the epoch alone.

    Attributes:
        dataset: Batches of all epochs in a row where `steps` is given, else
            those of one epoch.
        steps: Steps of an epoch, or `None`.
    """

    dataset: tf.data.Dataset
    steps: int | None


def training_batches(
    data: Any, batch_size: int, epochs: int, first_epoch: int = 0
) -> Batches:
    """Returns the batches of the epochs from `first_epoch` on.

    Arrays are shuffled anew for every epoch, by the number of the epoch:
    networks that train apart see the same batches as networks that train
    together, and so does one that was interrupted.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, or a finite
            `tf.data.Dataset` of batches.
        batch_size: Samples per batch of arrays.
        epochs: The number of epochs in all.
        first_epoch: The first epoch.
    """
    if isinstance(data, tf.data.Dataset):
        return Batches(data, None)
    arrays = _tensors(data)
    count = int(keras.tree.flatten(arrays)[0].shape[0])

    def order(epoch: Any) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(0, tf.int64), epoch])
        indices = tf.random.experimental.stateless_shuffle(
            tf.range(count), seed=seed
        )
        return tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)

    def gather(indices: Any) -> Any:
        return keras.tree.map_structure(
            lambda array: tf.gather(array, indices), arrays
        )

    dataset = tf.data.Dataset.range(first_epoch, epochs).flat_map(order)
    return Batches(
        _untuned(dataset.map(gather).prefetch(16)),
        math.ceil(count / batch_size),
    )


def validation_batches(data: Any, batch_size: int) -> tf.data.Dataset:
    """Returns validation data as batches, in their order."""
    if isinstance(data, tf.data.Dataset):
        return data
    dataset = tf.data.Dataset.from_tensor_slices(_tensors(data))
    return _untuned(dataset.batch(batch_size).cache())


def for_tasks(
    dataset: tf.data.Dataset, tasks: Sequence[Task], chosen: Sequence[Task]
) -> tf.data.Dataset:
    """Leaves the labels and sample weights of some of the tasks alone."""

    def choose(*batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        y = _of_tasks(y, tasks, chosen)
        if weight is None:
            return x, y
        return x, y, _of_tasks(weight, tasks, chosen)

    return dataset.map(choose)


def _of_tasks(
    values: Any, tasks: Sequence[Task], chosen: Sequence[Task]
) -> Any:
    """Returns the labels or sample weights of some tasks, in any form."""
    places = {task: tasks.index(task) for task in chosen}
    if isinstance(values, Mapping):
        return {task: values[task] for task in chosen if task in values}
    if isinstance(values, SingleTaskLabels):
        # Samples of other tasks get a number that no task has.
        number = np.full(len(tasks), -1, "int32")
        number[list(places.values())] = np.arange(len(places))
        owner = tf.gather(number, tf.cast(values.task, "int32"))
        return SingleTaskLabels(values.labels, owner)
    if isinstance(values, (tuple, list)):
        return {task: values[place] for task, place in places.items()}
    if len(values.shape) > 1 and values.shape[1] == len(tasks):
        return {task: values[:, place] for task, place in places.items()}
    return values


def digest(data: Any) -> str:
    """Returns a text that tells data from other data, as far as is cheap.

    Of a `tf.data.Dataset` it is the form of its batches.
    """
    if isinstance(data, tf.data.Dataset):
        return repr(data.element_spec)
    sums = hashlib.sha256()
    for leaf in keras.tree.flatten(data):
        array = np.ascontiguousarray(leaf)
        sums.update(f"{array.dtype} {array.shape}".encode())
        sums.update(array.data)
    return sums.hexdigest()


def check_data(name: str, data: Any) -> None:
    """Raises unless data have one of the forms that are understood."""
    if isinstance(data, tf.data.Dataset):
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise error(
                f"`{name}` must end: an epoch is once through it.",
                received="a data set without end",
                remedy="Leave out `repeat()`, or add `take(steps)`.",
            )
        return
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise error(
            f"`{name}` must be a tf.data.Dataset of batches, or a tuple "
            "(x, y) or (x, y, sample_weight) of arrays.",
            received=type(data).__name__,
            remedy="Pass data in one of these forms.",
        )
    shapes = [np.shape(leaf) for leaf in keras.tree.flatten(tuple(data))]
    counts = {shape[0] if shape else 0 for shape in shapes}
    if len(counts) != 1 or 0 in counts:
        raise error(
            f"All arrays of `{name}` must have as many samples, at least one.",
            received=f"{sorted(counts)} samples",
            remedy="Pass arrays of equal length.",
        )


def check_labels(name: str, data: Any, tasks: Sequence[Task]) -> None:
    """Raises if arrays have no label of a task; data sets are not read."""
    if isinstance(data, tf.data.Dataset):
        return
    is_list = isinstance(data[1], (tuple, list))
    is_list = is_list and not isinstance(data[1], SingleTaskLabels)
    if is_list and len(data[1]) != len(tasks):
        raise error(
            f"The labels of `{name}` must be one array per task {list(tasks)}.",
            received=f"{len(data[1])} arrays",
            remedy="Pass a dict by task.",
        )
    for task in tasks:
        labels = _of_tasks(data[1], tasks, [task])
        if isinstance(labels, SingleTaskLabels):
            is_there = bool(np.any(np.equal(labels.task, 0)))
        elif isinstance(labels, Mapping):
            is_there = task in labels and _any_known(labels[task])
        else:
            is_there = _any_known(labels)
        if not is_there:
            raise error(
                f"`{name}` has no label of task {task!r}.",
                received="no such entry, or nothing but NaN",
                remedy="Leave the task out, or split the data otherwise.",
            )


def _any_known(labels: Any) -> bool:
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.floating):
        return bool(array.size)
    return not np.isnan(array).all()


def _tensors(data: Any) -> Any:
    return keras.tree.map_structure(_as_tensor, tuple(data))


def _as_tensor(array: Any) -> Any:
    tensor = tf.convert_to_tensor(array)
    # As Keras does with arrays given to `fit`.
    if tensor.dtype.is_floating:
        return tf.cast(tensor, keras.config.floatx())
    return tensor


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns off what is tuned in the background, which takes seconds."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
