import numpy as np
import pytest

from keras_selfaux.datasets import labels_per_task

NAN = np.nan


def test_labels_by_index():
    labels = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    result = labels_per_task(labels, [1, 0, 1], ["a", "b"])
    assert list(result) == ["a", "b"]
    np.testing.assert_array_equal(
        result["a"], [[NAN, NAN], [3.0, 4.0], [NAN, NAN]]
    )
    np.testing.assert_array_equal(
        result["b"], [[1.0, 2.0], [NAN, NAN], [5.0, 6.0]]
    )


@pytest.mark.parametrize(
    "owners",
    [
        ["b", "a", "b"],
        np.array([b"b", b"a", b"b"]),
        np.array(["b", "a", "b"], object),
    ],
    ids=["list", "bytes", "object"],
)
def test_names_and_indices_agree(owners):
    labels = np.arange(3.0)
    by_name = labels_per_task(labels, owners, ["a", "b"])
    by_index = labels_per_task(labels, [1, 0, 1], ["a", "b"])
    for task in ("a", "b"):
        np.testing.assert_array_equal(by_name[task], by_index[task])


def test_every_label_has_exactly_one_task():
    labels = np.random.normal(size=(50, 2, 3))
    result = labels_per_task(labels, np.arange(50) % 4, list("abcd"))
    present = sum(np.isfinite(values).astype(int) for values in result.values())
    np.testing.assert_array_equal(present, np.ones_like(labels))
    total = sum(np.nan_to_num(values) for values in result.values())
    np.testing.assert_array_equal(total, labels.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.bool_, np.uint8])
def test_float32_whatever_the_labels(dtype):
    result = labels_per_task(np.ones(2, dtype), [0, 1], ["a", "b"])
    assert result["a"].dtype == np.float32
    np.testing.assert_array_equal(result["a"], [1.0, NAN])


def test_missing_label_stays_missing():
    result = labels_per_task([NAN, 1.0], [0, 0], ["a"])
    np.testing.assert_array_equal(result["a"], [NAN, 1.0])


def test_task_without_samples_and_no_samples():
    assert np.isnan(labels_per_task([1.0], [0], ["a", "b"])["b"]).all()
    assert labels_per_task(np.zeros((0, 3)), [], ["a"])["a"].shape == (0, 3)


def test_labels_are_copied():
    labels = np.ones(2, np.float32)
    labels_per_task(labels, [0, 0], ["a"])["a"][0] = 5.0
    assert labels[0] == 1.0


@pytest.mark.parametrize("tasks", [[], ["a", "a"], "ab"])
def test_bad_tasks(tasks):
    with pytest.raises(ValueError, match="`tasks` must be a list of task name"):
        labels_per_task([1.0], [0], tasks)


@pytest.mark.parametrize("labels", [3.0, ["cat"]])
def test_bad_labels(labels):
    with pytest.raises(ValueError, match="`labels` must be an array of num"):
        labels_per_task(labels, [0], ["a"])


@pytest.mark.parametrize("owners", [[0], [0, 0, 0], [[0], [0]], 0])
def test_wrong_number_of_owners(owners):
    with pytest.raises(ValueError, match=r"one entry per.*for 2 samples"):
        labels_per_task([1.0, 2.0], owners, ["a"])


@pytest.mark.parametrize("owners", [[0, 2], [0, -1], ["a", "c"], [0.0, 1.0]])
def test_unknown_owner(owners):
    with pytest.raises(
        ValueError, match=r"names from \['a', 'b'\], or their indices 0 to 1"
    ):
        labels_per_task([1.0, 2.0], owners, ["a", "b"])
