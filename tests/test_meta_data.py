import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._meta_data import (
    PairedBatch,
    adapted_fit_arguments,
    check_rows,
)

TASKS = ["a", "b"]


def arrays(count: int, start: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns inputs 0, 1, 2, ... with labels that equal them."""
    x = np.arange(start, start + count, dtype="float32")[:, None]
    return x, {"a": x.copy(), "b": -x}


def weights_for(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"a": x[:, 0] + 0.5, "b": x[:, 0] + 0.25}


class Batches(keras.utils.PyDataset):
    """Batches of an array, and how often an epoch ended."""

    def __init__(self, x: Any, y: Any, size: int) -> None:
        super().__init__()
        self.x, self.y, self.size = x, y, size
        self.epochs = 0

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.size)

    def __getitem__(self, index: int) -> Any:
        part = slice(index * self.size, (index + 1) * self.size)
        return self.x[part], {t: y[part] for t, y in self.y.items()}

    def on_epoch_end(self) -> None:
        self.epochs += 1


def pairs(arguments: dict[str, Any]) -> list[PairedBatch]:
    """Returns one epoch of the batches that `fit` would be given."""
    return list(arguments["x"].get_tf_dataset())


def numbers(batches: Any) -> list[float]:
    """Returns the inputs of all batches, one after the other."""
    return [float(v) for x, *_ in batches for v in np.array(x)[:, 0]]


def as_dataset(data: Any, size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(data).batch(size)


def as_py_dataset(data: Any, size: int) -> Batches:
    return Batches(*data, size)


MAKERS = pytest.mark.parametrize("make", [as_dataset, as_py_dataset])


def test_arrays_are_paired_batch_by_batch() -> None:
    x, y = arrays(10)
    arguments = adapted_fit_arguments(
        {"x": x, "y": y, "batch_size": 4, "shuffle": False}, arrays(6, 100)
    )
    found = pairs(arguments)
    assert all(isinstance(pair, PairedBatch) for pair in found)
    assert numbers(pair.train for pair in found) == list(range(10))
    assert [pair.train[0].shape[0] for pair in found] == [4, 4, 2]
    # Meta data: as large batches, each sample once an epoch, then again.
    assert [pair.meta[0].shape[0] for pair in found] == [4, 2, 4]
    meta = numbers(pair.meta for pair in found)
    assert sorted(meta[:6]) == list(range(100, 106))


def test_labels_stay_with_their_inputs() -> None:
    x, y = arrays(8)
    meta_x, meta_y = arrays(5, 100)
    arguments = adapted_fit_arguments(
        {"x": x, "y": y, "sample_weight": weights_for(x), "batch_size": 3},
        (meta_x, meta_y, weights_for(meta_x)),
    )
    for pair in pairs(arguments):
        for part_x, part_y, part_weight in pair:
            np.testing.assert_array_equal(part_y["a"], part_x)
            np.testing.assert_array_equal(part_y["b"], -part_x)
            np.testing.assert_array_equal(part_weight["b"], part_x[:, 0] + 0.25)


def test_arrays_are_shuffled_by_default() -> None:
    x, y = arrays(50)
    arguments = adapted_fit_arguments({"x": x, "y": y}, arrays(50, 100))
    found = pairs(arguments)
    train = numbers(pair.train for pair in found)
    meta = numbers(pair.meta for pair in found)
    assert train != sorted(train)
    assert meta != sorted(meta)
    assert sorted(train) == list(range(50))


def test_the_default_batch_size_is_that_of_keras() -> None:
    x, y = arrays(50)
    found = pairs(adapted_fit_arguments({"x": x, "y": y}, arrays(50)))
    assert [pair.train[0].shape[0] for pair in found] == [32, 18]


@MAKERS
def test_data_sets_come_in_their_own_batches(make: Any) -> None:
    arguments = adapted_fit_arguments(
        {"x": make(arrays(7), 3), "shuffle": False}, make(arrays(3, 100), 2)
    )
    found = pairs(arguments)
    assert numbers(pair.train for pair in found) == list(range(7))
    # Three training batches and two of meta data, the first again.
    assert numbers(pair.meta for pair in found) == [100, 101, 102, 100, 101]


@MAKERS
def test_an_epoch_is_one_of_the_training_data(make: Any) -> None:
    data = adapted_fit_arguments(
        {"x": make(arrays(4), 2)}, make(arrays(40, 100), 2)
    )["x"]
    assert data.num_batches == 2
    assert len(list(data.get_tf_dataset())) == 2


def test_generators() -> None:
    def batches() -> Iterator[Any]:
        for start in (0, 2, 4):
            yield arrays(2, start)

    found = pairs(adapted_fit_arguments({"x": batches()}, arrays(2, 100)))
    assert numbers(pair.train for pair in found) == list(range(6))


def test_epochs_begin_and_end_for_both() -> None:
    train, meta = Batches(*arrays(4), 2), Batches(*arrays(4), 2)
    data = adapted_fit_arguments({"x": train}, meta)["x"]
    data.on_epoch_begin()
    list(data.get_tf_dataset())
    data.on_epoch_end()
    assert train.epochs == meta.epochs == 1


def test_sizes_are_those_of_the_training_data() -> None:
    x, y = arrays(10)
    data = adapted_fit_arguments({"x": x, "y": y, "batch_size": 4}, arrays(3))[
        "x"
    ]
    assert (data.num_batches, data.batch_size) == (3, 4)


# Other arguments of `fit`.


def test_other_arguments_are_kept_and_the_given_dict_too() -> None:
    x, y = arrays(4)
    given = {"x": x, "y": y, "epochs": 3, "verbose": 0, "validation_data": 5}
    before = dict(given)
    arguments = adapted_fit_arguments(given, arrays(4))
    assert given == before
    assert arguments["epochs"] == 3
    assert arguments["verbose"] == 0
    assert arguments["validation_data"] == 5
    # What the data says already must not be said twice to `fit`.
    assert not {"y", "sample_weight", "validation_split"} & set(arguments)


def test_validation_split_takes_the_last_samples() -> None:
    x, y = arrays(10)
    arguments = adapted_fit_arguments(
        {
            "x": x,
            "y": y,
            "sample_weight": weights_for(x),
            "validation_split": 0.3,
            "batch_size": 10,
        },
        arrays(4),
    )
    (pair,) = pairs(arguments)
    assert sorted(np.array(pair.train[0])[:, 0]) == list(range(7))
    val_x, val_y, val_weight = arguments["validation_data"]
    np.testing.assert_array_equal(val_x[:, 0], [7, 8, 9])
    np.testing.assert_array_equal(val_y["b"], -val_x)
    np.testing.assert_array_equal(val_weight["a"], val_x[:, 0] + 0.5)


def test_validation_data_counts_before_a_split() -> None:
    x, y = arrays(10)
    given = arrays(2)
    arguments = adapted_fit_arguments(
        {"x": x, "y": y, "validation_split": 0.3, "validation_data": given},
        arrays(4),
    )
    assert arguments["validation_data"] is given
    assert len(numbers(pair.train for pair in pairs(arguments))) == 10


def test_a_data_set_cannot_be_split() -> None:
    with pytest.raises(
        ValueError, match="`validation_split` is only supported"
    ):
        adapted_fit_arguments(
            {"x": as_dataset(arrays(4), 2), "validation_split": 0.5}, arrays(4)
        )


@pytest.mark.parametrize(
    "meta_data",
    [3, "val", [1], (1, 2, 3, 4), {"x": 1}, np.zeros((2, 1)), iter([])],
)
def test_what_is_no_meta_data(meta_data: Any) -> None:
    x, y = arrays(4)
    with pytest.raises(
        ValueError,
        match=r"`meta_data` must be a tf.data.Dataset, a PyDataset, or a tuple "
        rf"\(x, y\).* Received: {type(meta_data).__name__}. Pass held-out",
    ):
        adapted_fit_arguments({"x": x, "y": y}, meta_data)


def test_fit_takes_the_pairs() -> None:
    class Counting(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            seen.append([int(tf.size(part[0])) for part in data])
            return {"loss": tf.constant(0.0)}

        def call(self, inputs: Any) -> Any:
            return inputs

    seen: list[list[int]] = []
    model = Counting()
    model.built = True
    model.compile(run_eagerly=True)
    arguments = adapted_fit_arguments(
        {
            "x": as_dataset(arrays(7), 3),
            "epochs": 2,
            "verbose": 0,
        },
        arrays(2),
    )
    model.fit(**arguments)
    assert seen == [[3, 2], [3, 2], [1, 2]] * 2


class Faulty(Batches):
    def __getitem__(self, index: int) -> Any:
        return {}["no such sample"]


def faulty_generator() -> Iterator[Any]:
    yield {}["no such sample"]


def test_errors_of_the_users_own_data_are_told_as_they_are() -> None:
    x, y = arrays(4)
    good, faulty = Batches(x, y, 2), Faulty(x, y, 2)
    for train, meta in (
        (faulty, None),
        (faulty_generator(), None),
        (faulty, good),
        (good, faulty),
    ):
        with pytest.raises(KeyError, match="no such sample"):
            adapted_fit_arguments({"x": train}, meta)["x"].get_tf_dataset()


def test_missing_weights_are_not_asked_to_be_nan() -> None:
    x, y = arrays(4)
    with pytest.raises(ValueError, match="Pass one; 0 where a label is miss"):
        check_rows(x, y, {"a": np.ones(3)})
    with pytest.raises(ValueError, match="Pass one; NaN where a label is mis"):
        check_rows(x, {**y, "a": np.ones(3)}, None)
