"""`MeanIoU`: which classes count, and how many pixels."""

from typing import Any

import numpy as np
import pytest

from keras_selfaux.metrics import MeanIoU

CLASSES, NO_CLASS = 4, 255


def iou(y: list[Any], p: list[int], **arguments: Any) -> float:
    metric = MeanIoU(CLASSES, **arguments)
    metric.update_state(np.array(y), np.eye(CLASSES)[p])
    return float(metric.result())


def test_classes_without_pixels_are_left_out_of_the_mean() -> None:
    assert iou([0, 0, 1, 1], [0, 0, 1, 1]) == 1.0
    assert iou([0, 0, 0, 0], [0, 0, 0, 0]) == 1.0


def test_classes_that_are_only_predicted_count_as_zero() -> None:
    assert iou([0, 0, 0, 0], [0, 0, 0, 3]) == pytest.approx(3 / 8)


def test_classes_that_are_never_predicted_count_as_zero() -> None:
    assert iou([0, 0, 2, 2], [0, 0, 0, 0]) == pytest.approx(1 / 4)


def test_labels_that_are_no_classes_are_missing() -> None:
    labels = [0, 1, -1, NO_CLASS, np.nan, CLASSES]
    assert iou(labels, [0, 1, 2, 2, 2, 2]) == 1.0
    assert iou([0, 1, 1], [0, 2, 2], ignore_class=1) == 1.0


def test_pixels_beyond_what_float32_can_count() -> None:
    metric = MeanIoU(2)
    labels, scores = np.array([0]), np.eye(2)
    metric.update_state(labels, scores[[0]], np.array([2.0**25]))
    for _ in range(3):
        metric.update_state(labels, scores[[1]])
    np.testing.assert_array_equal(metric.confusion, [[2.0**25, 3], [0, 0]])


def test_weights_below_one_are_not_rounded() -> None:
    metric = MeanIoU(2)
    weights = np.array([0.5, 0.25])
    metric.update_state(np.array([0, 0]), np.eye(2), weights)
    assert float(metric.result()) == pytest.approx(2 / 3 / 2)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "`num_classes` must be an integer of at least 1"),
        (3, "`MeanIoU` of 3 classes needs as many scores"),
    ],
)
def test_wrong_numbers_of_classes(count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeanIoU(count).update_state(np.zeros(2), np.zeros((2, 4)))
