import numpy as np
import pytest

from keras_selfaux.aggregators import GradDrop
from tests.aggregators.cases import AGGREGATORS
from tests.aggregators.properties import LOSSES, STEPS, eager, mean_updates

POSITIVE = np.maximum(STEPS[0], 0).sum(0)
NEGATIVE = np.minimum(STEPS[0], 0).sum(0)


def test_coordinates_with_one_sign_are_summed() -> None:
    matrix = np.abs(STEPS[0]) * np.array([1, -1, 1, -1, 1, -1], "float32")
    found = eager(GradDrop())(matrix)
    np.testing.assert_allclose(found, matrix.sum(0), rtol=1e-6)


def test_each_coordinate_has_one_sign() -> None:
    steps = eager(GradDrop(seed=3))
    drawn = steps.several([STEPS[0]] * 20)
    is_positive = np.isclose(drawn, POSITIVE, rtol=1e-5)
    is_negative = np.isclose(drawn, NEGATIVE, rtol=1e-5)
    assert np.all(is_positive | is_negative)
    # Each step has draws of its own, and so has each coordinate.
    assert len(np.unique(is_positive, axis=0)) > 5
    assert len(np.unique(is_positive, axis=1)) > 5


def test_expectation() -> None:
    # With probability P the positive entries, else the negative ones.
    p = (1 + (POSITIVE + NEGATIVE) / (POSITIVE - NEGATIVE)) / 2
    case = AGGREGATORS["grad_drop"]
    (found,) = mean_updates(case, [(STEPS[0], LOSSES)])
    np.testing.assert_allclose(
        found, p * POSITIVE + (1 - p) * NEGATIVE, atol=0.3
    )


def test_a_leak_keeps_part_of_what_is_dropped() -> None:
    drawn = eager(GradDrop(seed=3)).several([STEPS[0]] * 3)
    leaky = eager(GradDrop(leak=0.25, seed=3)).several([STEPS[0]] * 3)
    expected = drawn + 0.25 * (POSITIVE + NEGATIVE - drawn)
    np.testing.assert_allclose(leaky, expected, rtol=1e-5, atol=1e-6)


def test_a_leak_of_1_is_the_sum() -> None:
    found = eager(GradDrop(leak=1))(STEPS[0])
    np.testing.assert_allclose(found, STEPS[0].sum(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("leak", [-0.1, 1.1, "a", float("nan"), [0.1]])
def test_what_is_no_leak(leak: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`leak` must be a number in \[0, 1\]. Received: leak=.* Pass a "
        r"number in this range.",
    ):
        GradDrop(leak=leak)


def test_a_bad_seed() -> None:
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        GradDrop(seed="a")
