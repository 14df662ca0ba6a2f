"""`MeanAngle`, `MedianAngle` and `WithinAngle` at the ends of their range."""

from typing import Any

import numpy as np
import pytest

from keras_selfaux.metrics import MeanAngle, MedianAngle, WithinAngle


def angle_of(y: Any, p: Any) -> float:
    metric = MeanAngle()
    metric.update_state(np.array([y], "float32"), np.array([p], "float32"))
    return float(metric.result())


@pytest.mark.parametrize("offset", [1e-5, 1e-3, 0.1])
def test_angles_next_to_0_and_180_degrees(offset: float) -> None:
    wanted = np.degrees(np.arctan(np.float32(offset)))
    assert angle_of([1, 0, 0], [1, offset, 0]) == pytest.approx(
        wanted, rel=1e-6
    )
    wanted = pytest.approx(180 - wanted, rel=1e-7)
    assert angle_of([0, 1, 0], [0, -1, offset]) == wanted


@pytest.mark.parametrize("length", [1e-30, 1e-3, 1.0, 1e30])
def test_lengths_do_not_matter(length: float) -> None:
    found = angle_of([0, 0, 1], [0, length, length])
    assert found == pytest.approx(45.0, rel=1e-6)


def test_predictions_of_length_zero_are_at_right_angles() -> None:
    y, p = np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3))
    assert angle_of(y[0], p[0]) == 90.0
    within, median = WithinAngle(90), MedianAngle()
    within.update_state(y, p)
    median.update_state(y, p)
    assert float(within.result()) == 0.0
    assert float(median.result()) == pytest.approx(90.0, abs=0.05)


def test_labels_of_length_zero_are_missing() -> None:
    y, p = (
        np.array([[0.0, 0, 0], [1.0, 0, 0]]),
        np.array([[1.0, 0, 0], [0, 1, 0]]),
    )
    for metric in (MeanAngle(), MedianAngle()):
        metric.update_state(y, p)
        assert float(metric.result()) == pytest.approx(90.0, abs=0.05)


def test_a_prediction_of_nan_is_never_right() -> None:
    y, p = np.array([[1.0, 0, 0]]), np.full((1, 3), np.nan)
    within, median = WithinAngle(180), MedianAngle()
    within.update_state(y, p)
    median.update_state(y, p)
    assert float(within.result()) == 0.0
    assert float(median.result()) == pytest.approx(180.0, abs=0.05)
    assert np.isnan(angle_of(y[0], p[0]))


def test_the_largest_angle_has_a_place() -> None:
    metric = MedianAngle()
    metric.update_state(np.array([[1.0, 0, 0]]), np.array([[-1.0, 0, 0]]))
    assert float(metric.result()) == pytest.approx(180.0, abs=0.05)


def test_pixels_beyond_what_float32_can_count() -> None:
    metric = WithinAngle(30)
    for weight in (2.0**25, 1.0, 1.0, 1.0):
        metric.update_state(
            np.ones((1, 3)), np.ones((1, 3)), np.array([weight])
        )
    assert float(np.array(metric.count)) == 2.0**25 + 3


@pytest.mark.parametrize("degrees", [0, 181])
def test_wrong_degrees(degrees: float) -> None:
    with pytest.raises(
        ValueError, match=r"`degrees` must be a number in \(0, 180\]"
    ):
        WithinAngle(degrees)


def test_vectors_of_other_than_three_entries() -> None:
    with pytest.raises(ValueError, match="between vectors of three entries"):
        MeanAngle().update_state(np.ones((2, 4)), np.ones((2, 4)))
