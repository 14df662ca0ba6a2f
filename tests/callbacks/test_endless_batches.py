import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.callbacks._endless_batches import endless_batches

COUNT = 7
X = np.arange(COUNT, dtype="float64")[:, None]
Y = {"a": X + 0.5, "b": np.arange(COUNT)}


def take(data: Any, count: int, *, size: int = 3, seed: int = 0) -> list[Any]:
    generator = np.random.default_rng(seed)
    batches = endless_batches("train_data", data, size, generator)
    return list(itertools.islice(batches, count))


class Batches(keras.utils.PyDataset):
    """Two batches, or endlessly many; nobody but `fit` may end its epochs."""

    def __init__(self, count: int | None = 2) -> None:
        super().__init__()
        self.count = count

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> Any:
        part = slice(3 * index, 3 * index + 3)
        return X[part], {t: y[part] for t, y in Y.items()}, None

    def on_epoch_end(self) -> None:
        raise AssertionError


def numbers(batches: list[Any]) -> list[list[int]]:
    return [np.array(x)[:, 0].astype(int).tolist() for x, *_ in batches]


def test_arrays_are_shuffled_in_full_batches() -> None:
    found = take((X, Y), 40)
    rounds = numbers(found)
    assert {len(batch) for batch in rounds} == {3}
    for first, second in zip(rounds[::2], rounds[1::2], strict=True):
        assert len({*first, *second}) == 6  # none twice in a round
    assert len({tuple(batch) for batch in rounds}) > 10
    assert set(itertools.chain(*rounds)) == set(range(COUNT))
    for x, y in found:
        np.testing.assert_array_equal(y["a"], np.array(x) + 0.5)
        np.testing.assert_array_equal(y["b"], np.array(x)[:, 0])
        assert (x.dtype, y["b"].dtype) == (tf.float32, tf.int64)


def test_the_generator_decides() -> None:
    assert numbers(take((X, Y), 9)) == numbers(take((X, Y), 9))
    assert numbers(take((X, Y), 9)) != numbers(take((X, Y), 9, seed=1))


def test_fewer_samples_than_a_batch() -> None:
    assert sorted(numbers(take((X, Y), 3, size=50))[2]) == list(range(COUNT))


def test_tensors_weights_and_labels_of_single_tasks() -> None:
    y = keras_selfaux.SingleTaskLabels(tf.constant(X), np.arange(COUNT))
    for weight, parts in ([X[:, 0]], 3), ([None], 2), ([], 2):
        (found,) = take([tf.constant(X), y, *weight], 1)
        assert isinstance(found[1], keras_selfaux.SingleTaskLabels)
        np.testing.assert_array_equal(found[1].task, np.array(found[0])[:, 0])
        assert len(found) == parts


def test_data_sets_come_as_they_are() -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3)
    wanted = [[0, 1, 2], [3, 4, 5], [6]]
    assert numbers(take(data, 5)) == [*wanted, *wanted[:2]]
    assert numbers(take(Batches(), 3)) == [*wanted[:2], wanted[0]]
    assert numbers(take(Batches(None), 2)) == wanted[:2]
    x, y, weight = take(Batches(), 1)[0]
    assert weight is None
    assert (x.dtype, y["b"].dtype) == (tf.float32, tf.int64)


@pytest.mark.parametrize(
    "data",
    [
        tf.data.Dataset.range(3).filter(lambda v: v > 5),
        (np.zeros((0, 2)), {"a": np.zeros((0, 1))}),
        Batches(0),
    ],
)
def test_no_data(data: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`train_data` must hold at least one batch. Received: no data",
    ):
        take(data, 1)


def test_arrays_of_different_lengths() -> None:
    with pytest.raises(
        ValueError,
        match=r"All arrays of `train_data` must hold the same number of "
        r"samples. Received: \[6, 7\] samples. Pass a label for every sample",
    ):
        take((X, {**Y, "a": X[1:]}), 1)
