"""Labels and sample weights in all their forms, sorted by task."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import SingleTaskLabels
from keras_selfaux._batch import as_batch

TASKS = ["a", "b", "c"]
X = tf.zeros((4, 2))
STACKED = np.arange(24, dtype="float32").reshape(4, 3, 2)
BY_TASK = {task: STACKED[:, i] for i, task in enumerate(TASKS)}
WEIGHTS = np.arange(12, dtype="float32").reshape(4, 3)


@pytest.mark.parametrize(
    "y", [BY_TASK, list(BY_TASK.values()), STACKED, tf.constant(STACKED)]
)
def test_labels_in_any_form_are_the_same(y: Any) -> None:
    batch = as_batch((X, y), TASKS)
    assert list(batch.y) == TASKS
    for task, labels in BY_TASK.items():
        np.testing.assert_array_equal(batch.y[task], labels)
        assert batch.sample_weight[task] is None
    assert int(batch.size) == 4
    assert batch.single is None


def test_a_single_task_needs_no_dict() -> None:
    batch = as_batch((X, STACKED), ["a"])
    np.testing.assert_array_equal(batch.y["a"], STACKED)


@pytest.mark.parametrize("y", [BY_TASK, STACKED])
def test_a_weight_per_sample_holds_for_all_tasks(y: Any) -> None:
    weight = np.ones(4, "float32")
    batch = as_batch((X, y, weight), TASKS)
    nodes, which = batch.sample_weight.select(TASKS)
    assert len(nodes) == 1
    assert which == [0, 0, 0]


def test_a_weight_per_sample_and_task() -> None:
    batch = as_batch((X, STACKED, WEIGHTS), TASKS)
    for i, task in enumerate(TASKS):
        np.testing.assert_array_equal(batch.sample_weight[task], WEIGHTS[:, i])


def test_weights_of_some_tasks() -> None:
    batch = as_batch((X, BY_TASK, {"b": WEIGHTS[:, 0]}), TASKS)
    assert batch.sample_weight["a"] is None
    np.testing.assert_array_equal(batch.sample_weight["b"], WEIGHTS[:, 0])


@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.0, 2.0, 1.0])])
def test_labels_of_other_tasks_are_missing(weight: Any) -> None:
    labels = np.arange(8, dtype="float32").reshape(4, 2)
    task = np.array([2, 0, 0, -1])
    batch = as_batch((X, SingleTaskLabels(labels, task), weight), TASKS)
    given = np.ones(4) if weight is None else weight
    for i, name in enumerate(TASKS):
        np.testing.assert_array_equal(batch.y[name], labels)
        np.testing.assert_array_equal(
            batch.sample_weight[name], (task == i) * given
        )


def test_weights_of_positions_where_samples_have_one_task() -> None:
    labels = np.zeros((4, 5, 2), "float32")
    weight = np.ones((4, 5), "float32")
    y = SingleTaskLabels(labels, np.array([0, 1, 2, 2]))
    batch = as_batch((X, y, weight), TASKS)
    assert batch.sample_weight["c"].shape == (4, 5)
    np.testing.assert_array_equal(batch.sample_weight["c"][:, 0], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, None), r"`y` must be a dict.*NoneType.*axis of length 3"),
        ((X, STACKED[:, :2]), r"\(batch, tasks, \.\.\.\).*shape \(4, 2, 2\)"),
        ((X, np.zeros(4)), r"shape \(4,\)"),
        ((X, {"a": STACKED}), r"`y` must have one entry per task"),
        ((X, STACKED, {"z": 1.0}), r"`sample_weight` names tasks"),
        (
            (X, STACKED, WEIGHTS[:, :2]),
            r"`sample_weight` must have shape \(batch,\) or .*\(4, 2\)",
        ),
        (
            (X, SingleTaskLabels(STACKED, WEIGHTS)),
            r"`SingleTaskLabels.task` must have one entry per sample",
        ),
        (
            (X, SingleTaskLabels(STACKED, np.zeros(4)), {"a": WEIGHTS}),
            r"must be one tensor where every sample belongs.*dict",
        ),
    ],
)
def test_bad_labels(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_batch(data, TASKS)
