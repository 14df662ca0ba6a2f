import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import SingleTaskLabels
from keras_selfaux.discovery._data import (
    check_data,
    digest,
    for_tasks,
    training_batches,
    validation_batches,
)

TASKS = ["a", "b", "c"]


def numbers(dataset):
    return [batch[0].numpy().tolist() for batch in dataset]


def arrays(count=7):
    x = np.arange(count, dtype="float64")
    return x, {"a": 10 * x}


class TestTrainingBatches:
    def test_every_epoch_has_every_sample_in_an_order_of_its_own(self):
        dataset, steps = training_batches(arrays(), batch_size=3, epochs=2)
        batches = numbers(dataset)
        assert steps == 3
        assert [len(batch) for batch in batches] == [3, 3, 1] * 2
        first, second = np.hstack(batches[:3]), np.hstack(batches[3:])
        assert sorted(first) == sorted(second) == list(range(7))
        assert first.tolist() != second.tolist()

    def test_later_epochs_do_not_depend_on_where_one_starts(self):
        whole = numbers(training_batches(arrays(), 3, epochs=4).dataset)
        rest = training_batches(arrays(), 3, epochs=4, first_epoch=2)
        assert numbers(rest.dataset) == whole[6:]

    def test_labels_stay_with_their_samples(self):
        x, y = arrays()
        weights = {"a": x + 0.5}
        batches = training_batches((x, y, weights), 2, epochs=1).dataset
        for inputs, labels, weight in batches:
            np.testing.assert_array_equal(labels["a"], 10 * inputs)
            np.testing.assert_array_equal(weight["a"], inputs + 0.5)
            assert inputs.dtype == "float32"  # as Keras has it

    def test_a_data_set_is_taken_as_it_is(self):
        given = tf.data.Dataset.from_tensor_slices(arrays()).batch(4)
        assert training_batches(given, 1, epochs=9) == (given, None)
        assert validation_batches(given, 1) is given


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(3), "must be a tf.data.Dataset of batches, or a tuple"),
        ((np.zeros(3),), "must be a tf.data.Dataset of batches, or a tup"),
        ((np.zeros(3), np.zeros(2)), r"as many samples.*\[2, 3\]"),
        ((np.zeros(0), {"a": np.zeros(0)}), r"as many samples.*\[0\]"),
        (tf.data.Dataset.range(3).repeat(), "without end"),
    ],
)
def test_refuses(data, message):
    with pytest.raises(ValueError, match=message):
        check_data("train_data", data)


def test_validation_batches_keep_their_order():
    assert numbers(validation_batches(arrays(), 4)) == [[0, 1, 2, 3], [4, 5, 6]]


class TestForTasks:
    def choose(self, y, weight=None, chosen=("c", "a")):
        data = (np.zeros(2), y) if weight is None else (np.zeros(2), y, weight)
        dataset = tf.data.Dataset.from_tensors(data)
        (batch,) = for_tasks(dataset, TASKS, chosen)
        return batch[1:]

    def test_labels_by_task(self):
        y = {task: np.full(2, i) for i, task in enumerate(TASKS)}
        found, weight = self.choose(y, {"a": np.ones(2)})
        assert {t: v.numpy().tolist() for t, v in found.items()} == {
            "c": [2, 2],
            "a": [0, 0],
        }
        assert list(weight) == ["a"]

    def test_labels_along_an_axis(self):
        y = np.arange(6).reshape(2, 3)
        found, weight = self.choose(y, np.ones(2))
        assert {t: v.numpy().tolist() for t, v in found.items()} == {
            "c": [2, 5],
            "a": [0, 3],
        }
        assert weight.numpy().tolist() == [1, 1]

    def test_labels_by_position(self):
        (found,) = self.choose(tuple(np.full(2, i) for i in range(3)))
        assert [found[t].numpy()[0] for t in ("a", "c")] == [0, 2]

    def test_samples_of_one_task_each(self):
        y = SingleTaskLabels(np.arange(4.0), np.array([0, 1, 2, 0]))
        (found,) = self.choose(y)
        assert isinstance(found, SingleTaskLabels)
        assert found.task.numpy().tolist() == [1, -1, 0, 1]


def test_digest_tells_data_apart():
    x, y = arrays()
    known = digest((x, y))
    assert digest((x.copy(), {"a": 10 * x})) == known
    y["a"][2] += 1
    assert digest((x, y)) != known
    assert digest((x[:3], y)) != known
    batched = tf.data.Dataset.from_tensor_slices(x).batch(2)
    assert "float64" in digest(batched)
