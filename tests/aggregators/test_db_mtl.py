from typing import Any

import numpy as np
import pytest

from keras_selfaux.aggregators import DBMTL
from tests.aggregators.properties import LOSSES, STEPS, Steps, eager, state


def two(aggregator: DBMTL) -> Steps:
    return eager(aggregator, 2)


PAIR = np.eye(2, 6, dtype="float32") * np.array([[3.0], [4.0]], "float32")


def test_all_are_as_long_as_the_longest() -> None:
    found = two(DBMTL())(PAIR, np.ones(2, "float32"))
    np.testing.assert_allclose(found, [4, 4, 0, 0, 0, 0], rtol=1e-5)


def test_rows_of_logarithmic_losses() -> None:
    # Rows over losses have lengths 3 and 1: both get 3, times the geometric
    # mean 2 of the losses.
    found = two(DBMTL())(PAIR, np.array([1.0, 4.0], "float32"))
    np.testing.assert_allclose(found, [6, 6, 0, 0, 0, 0], rtol=1e-5)


def test_the_unit_of_a_loss_does_not_matter_for_the_direction() -> None:
    units = np.array([1.0, 1e4], "float32")
    losses = np.array([0.5, 2.0], "float32")
    found = two(DBMTL())(PAIR * units[:, None], losses * units)
    expected = two(DBMTL())(PAIR, losses)
    np.testing.assert_allclose(found, 100 * expected, rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_several_steps(sigma: float) -> None:
    beta, steps = 0.9, eager(DBMTL(beta=0.9, sigma=sigma))
    average, mass, number = np.zeros((5, 6)), np.zeros(5), np.zeros(5)
    for step in range(3):
        matrix = STEPS[step].copy()
        if step == 1:  # a task without labels: nothing of it moves
            matrix[2] = 0.0
        present = np.any(matrix != 0, axis=1)
        number[present] += 1
        old = beta / np.maximum(number, 1) ** sigma
        rows = matrix / (LOSSES[:, None] + 1e-8)
        moved = old[:, None] * average + (1 - old)[:, None] * rows
        average = np.where(present[:, None], moved, average)
        mass = np.where(present, old * mass + 1 - old, mass)
        corrected = average[present] / mass[present, None]
        lengths = np.linalg.norm(corrected, axis=1)
        expected = (lengths.max() / lengths) @ corrected
        expected *= np.exp(np.mean(np.log(LOSSES[present])))
        found = steps(matrix)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(steps.aggregator.steps, [3, 3, 2, 3, 3])


def test_averages_as_long_as_rows_of_any_size() -> None:
    # Squares of these leave float32.
    scales = np.array([[1e-15], [1e22]], "float32")
    found = two(DBMTL())(PAIR * scales, np.ones(2, "float32"))
    np.testing.assert_allclose(found[1], 4e22, rtol=1e-4)
    alone = two(DBMTL())(PAIR * np.float32(1e-25), np.ones(2, "float32"))
    np.testing.assert_allclose(alone[:2], 4e-25, rtol=1e-4)


def test_a_negative_loss_does_not_turn_the_direction() -> None:
    losses = np.array([1.0, 4.0], "float32")
    np.testing.assert_allclose(
        two(DBMTL())(PAIR, -losses), two(DBMTL())(PAIR, losses), rtol=1e-5
    )


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(loss: float) -> None:
    steps = two(DBMTL())
    before = state(steps.aggregator)
    losses = np.array([1.0, loss], "float32")
    assert not np.all(np.isfinite(steps(PAIR, losses)))
    for value, expected in zip(state(steps.aggregator), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    # That of a task which is left out does not matter.
    alone = PAIR * np.array([[1.0], [0.0]], "float32")
    np.testing.assert_allclose(steps(alone, losses), alone[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 1.0}, r"`beta` must be a number in \[0, 1\). Received: "),
        ({"beta": -0.1}, r"`beta` must be a number in \[0, 1\). Received: "),
        ({"sigma": -1}, "`sigma` must be zero or a positive number. Received"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DBMTL(**arguments)
