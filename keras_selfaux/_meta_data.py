"""Training and meta batches side by side, from any data Keras takes.

Keras's own data adapters do the work. They are not public, so this file is
the one place that names them.
"""

import contextlib
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing, get_data_adapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.generator_data_adapter import (
    GeneratorDataAdapter,
)
from keras.src.trainers.data_adapters.py_dataset_adapter import (
    PyDatasetAdapter,
)

from keras_selfaux._checks import error, is_misfit

_BATCHED = (tf.data.Dataset, keras.utils.PyDataset)
# What they raise comes of code that the user wrote.
_USERS_OWN = (
    keras.utils.PyDataset,
    types.GeneratorType,
    PyDatasetAdapter,
    GeneratorDataAdapter,
)


class PairedBatch(NamedTuple):
    """A training batch and the meta batch that goes with it.

    Attributes:
        train: `(x, y)` or `(x, y, sample_weight)`.
        meta: The same of the meta data.
    """

    train: Any
    meta: Any


class PairedAdapter(DataAdapter):
    """Feeds `fit` with `PairedBatch`es; an epoch is one of the train data.

    Args:
        train: Adapter of the training data.
        meta: Adapter of the meta data, repeated as needed.
    """

    def __init__(self, train: DataAdapter, meta: DataAdapter) -> None:
        self._train = train
        self._meta = meta

    def get_tf_dataset(self) -> Any:
        """Returns the pairs as a `tf.data.Dataset`."""
        with _reading("x", self._train):
            train = self._train.get_tf_dataset()
        with _reading("meta_data", self._meta):
            meta = self._meta.get_tf_dataset().repeat()
        return tf.data.Dataset.zip(PairedBatch(train, meta))

    @property
    def num_batches(self) -> int | None:
        """Number of batches of the training data, if known."""
        count: int | None = self._train.num_batches
        return count

    @property
    def batch_size(self) -> int | None:
        """Batch size of the training data, if known."""
        size: int | None = self._train.batch_size
        return size

    def on_epoch_begin(self) -> None:
        """Tells both data sets that an epoch begins."""
        self._train.on_epoch_begin()
        self._meta.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells both data sets that an epoch ended."""
        self._train.on_epoch_end()
        self._meta.on_epoch_end()


def adapted_fit_arguments(
    arguments: dict[str, Any], meta_data: Any = None
) -> dict[str, Any]:
    """Replaces the data in the arguments of `fit` by what feeds them to it.

    Args:
        arguments: The arguments of `keras.Model.fit`, by name.
        meta_data: A `tf.data.Dataset` or `PyDataset` of batches, or a tuple
            `(x, y)` or `(x, y, sample_weight)` of arrays, which are shuffled
            and batched as the training data are. `None` for none.

    Returns:
        New arguments, with an adapter of Keras's for `x`.
    """
    if isinstance(arguments.get("x"), DataAdapter):
        return arguments
    arguments = dict(arguments)
    x, y = arguments.pop("x", None), arguments.pop("y", None)
    weight = arguments.pop("sample_weight", None)
    split = arguments.pop("validation_split", 0.0)
    if split and arguments.get("validation_data") is None:
        (x, y, weight), arguments["validation_data"] = (
            array_slicing.train_validation_split(
                (x, y, weight), validation_split=split
            )
        )
    # The default only concerns arrays; Keras warns about it for the rest.
    shuffle = arguments.pop("shuffle", True)
    train = _adapter(
        "x",
        x=x,
        y=y,
        sample_weight=weight,
        batch_size=arguments.get("batch_size"),
        steps_per_epoch=arguments.get("steps_per_epoch"),
        shuffle=shuffle and not isinstance(x, tf.data.Dataset),
        class_weight=arguments.pop("class_weight", None),
    )
    if meta_data is None:
        return {**arguments, "x": train}
    meta = _meta_adapter(meta_data, train.batch_size)
    return {**arguments, "x": PairedAdapter(train, meta)}


def check_data(name: str, data: Any) -> None:
    """Raises unless `data` are batches, or a tuple of arrays."""
    if isinstance(data, _BATCHED):
        return
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        held_out = "held-out data" if name == "meta_data" else "data"
        raise error(
            f"`{name}` must be a tf.data.Dataset, a PyDataset, or a tuple "
            "(x, y) or (x, y, sample_weight) of arrays.",
            received=f"{type(data).__name__}",
            remedy=f"Pass {held_out} in one of these forms.",
        )


def check_rows(x: Any, y: Any, sample_weight: Any) -> None:
    """Raises unless arrays have one row per sample, and as many of each.

    Raises:
        ValueError: If there is no `x`, a leaf without rows, or a length of
            its own.
    """
    if x is None:
        raise error(
            "`x` is missing.",
            received="x=None",
            remedy="Pass inputs, or a data set of batches.",
        )
    rows = _rows_of("x", x)
    for name, what, where_missing, value in (
        ("y", "label", "NaN", y),
        ("sample_weight", "sample weight", "0", sample_weight),
    ):
        if not isinstance(value, Mapping):
            _rows_of(name, value)
            continue
        for task, values in value.items():
            found = _rows_of(name, values)
            if None not in (rows, found) and rows != found:
                raise error(
                    f"Task {task!r} must have a {what} for every sample.",
                    received=f"{found} for {rows}",
                    remedy=f"Pass one; {where_missing} where a label is "
                    "missing.",
                )


def _rows_of(name: str, value: Any) -> int | None:
    """Returns how many rows arrays have, as far as the first one tells."""
    for leaf in keras.tree.flatten(value):
        shape = getattr(leaf, "shape", None)
        if shape is None:  # no array, and Keras's to judge
            continue
        if len(shape) == 0:
            raise error(
                f"`{name}` must have one row per sample.",
                received=f"a single value, {leaf!r:.100}",
                remedy="Pass an array.",
            )
        rows: int | None = shape[0]
        return rows
    return None


def shape_of_inputs(x: Any) -> Any:
    """Returns the shapes of a batch of inputs, or `None` if they are unknown.

    Args:
        x: What `fit` was given as `x`: arrays, a `tf.data.Dataset` or a
            `PyDataset`.
    """
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        x = spec[0] if isinstance(spec, tuple) else spec
    elif isinstance(x, keras.utils.PyDataset):
        x = x[0][0]
    if not all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)):
        return None
    return keras.tree.map_structure(lambda leaf: (None, *leaf.shape[1:]), x)


def _meta_adapter(meta_data: Any, batch_size: int | None) -> DataAdapter:
    check_data("meta_data", meta_data)
    if isinstance(meta_data, _BATCHED):
        return _adapter("meta_data", x=meta_data)
    x, y, *rest = meta_data
    return _adapter(
        "meta_data",
        x=x,
        y=y,
        sample_weight=rest[0] if rest else None,
        batch_size=batch_size,
        shuffle=True,
    )


def _adapter(name: str, **arguments: Any) -> DataAdapter:
    """Returns Keras's adapter of some data.

    Raises:
        ValueError: If Keras finds none, or data do not fit each other.
    """
    with _reading(name, arguments["x"]):
        return get_data_adapter(**arguments)


@contextlib.contextmanager
def _reading(name: str, data: Any) -> Iterator[None]:
    """Names the data that Keras cannot read, unless they are code."""
    try:
        yield
    except Exception as problem:
        if isinstance(data, _USERS_OWN) or not is_misfit(problem):
            raise
        raise error(
            f"`{name}` cannot be read as data.",
            received=f"{problem}",
            remedy="Pass arrays with one row per sample, or a data set of "
            "batches.",
        ) from problem
