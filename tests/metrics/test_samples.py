"""What metrics are given: missing labels and weights, stacked or not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from keras_selfaux.metrics import Samples, stack_weights

TASKS = ["a", "b"]
NAN = np.nan
LABELS = {
    "a": np.array([[1.0, 1.0], [NAN, 2.0], [3.0, 3.0]], "float32"),
    "b": np.array([[NAN, 1.0], [4.0, 4.0], [5.0, 5.0]], "float32"),
}
PRESENT = {
    "a": np.array([True, False, True]),
    "b": np.array([False, True, True]),
}
PREDICTIONS = {task: np.ones((3, 2), "float32") for task in TASKS}


def masks(tasks: Sequence[str]) -> Any:
    return stack_weights([PRESENT[task] for task in tasks])


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    "weights",
    [
        {"a": None, "b": None},
        {"a": np.array([1.0, 2.0, 3.0]), "b": None},
        {"a": np.array([[1], [2], [3]]), "b": np.array([3.0, 2.0, 1.0])},
    ],
)
def test_labels_and_weights_of_missing_labels_are_zero(
    weighted: bool, weights: dict[str, Any]
) -> None:
    samples = Samples(LABELS, PREDICTIONS, weights, masks)
    stacked = samples.stacked(TASKS, weighted=weighted)
    for i, task in enumerate(TASKS):
        single = samples.of(task, weighted=weighted)
        present = PRESENT[task]
        factor = np.ones(3)
        if weighted and weights[task] is not None:
            factor = np.reshape(weights[task], 3)
        for found in (single, [part[i] for part in stacked]):
            y_true, y_pred, weight = (np.array(part) for part in found)
            np.testing.assert_array_equal(
                y_true[present], LABELS[task][present]
            )
            assert not y_true[~present].any()
            np.testing.assert_array_equal(y_pred, PREDICTIONS[task])
            np.testing.assert_array_equal(weight, present * factor)


def test_labels_that_cannot_be_missing_have_no_weights() -> None:
    weights = dict.fromkeys(TASKS)
    samples = Samples(LABELS, PREDICTIONS, weights, lambda tasks: None)
    assert samples.of("a", weighted=True).sample_weight is None
    stacked = samples.stacked(TASKS, weighted=True)
    assert stacked.sample_weight is None
    assert samples.stacked(TASKS, weighted=True) is stacked


def test_masks_of_different_ranks_are_stacked() -> None:
    fine = np.array([[True, False], [True, True]])
    stacked = np.array(stack_weights([np.array([True, False]), None, fine]))
    assert stacked.tolist() == [
        [[True, True], [False, False]],
        [[True, True], [True, True]],
        fine.tolist(),
    ]
