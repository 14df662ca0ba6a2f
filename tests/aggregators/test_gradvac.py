import numpy as np
import pytest

from keras_selfaux.aggregators import GradVac, PCGrad
from tests.aggregators.properties import STEPS, eager, weights


def test_the_first_step_is_that_of_pcgrad() -> None:
    # All targets are 0; two rows need no order.
    pair = STEPS[0][:2] * np.array([[1.0], [-1.0]])
    for matrix in (pair, STEPS[0][:2]):
        np.testing.assert_allclose(
            weights(GradVac(), matrix), weights(PCGrad(), matrix), rtol=1e-5
        )


def test_rows_are_turned_to_the_target() -> None:
    # Cosine 0, target 0.6: h1 = g1 + 0.6 / 0.8 |g1| / |g2| g2, with
    # |g1| = 2 and |g2| = 1, and likewise h2 = g2 + 0.75 / 2 g1.
    matrix = np.diag([2.0, 1.0])
    aggregator = GradVac(beta=0.5)
    aggregator.build(2)
    aggregator.targets.assign(np.full((2, 2), 0.6))
    found = weights(aggregator, matrix)
    np.testing.assert_allclose(found, [1.375, 2.5], rtol=1e-5)
    # Half way from the target to the cosine, 0; a row never meets itself.
    np.testing.assert_allclose(
        aggregator.targets, [[0.6, 0.3], [0.3, 0.6]], rtol=1e-5
    )


def test_a_turned_row_has_the_cosine_asked_for() -> None:
    matrix = STEPS[1][:2]
    aggregator = GradVac()
    aggregator.build(2)
    # The second row is where it should be; the first has to turn to it.
    aggregator.targets.assign([[0.0, 0.9], [-1.0, 0.0]])
    turned = weights(aggregator, matrix) @ matrix - matrix[1]
    cosine = turned @ matrix[1]
    cosine /= np.linalg.norm(turned) * np.linalg.norm(matrix[1])
    np.testing.assert_allclose(cosine, 0.9, rtol=1e-4)


def test_targets_follow_the_cosines_of_rows_that_are_there() -> None:
    matrix = np.diag([1.0, 2.0, 0.0])
    matrix[1, 0] = 2.0
    aggregator = GradVac(beta=0.1)
    weights(aggregator, matrix)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 0.1 * np.sqrt(0.5)
    np.testing.assert_allclose(aggregator.targets, expected, atol=1e-6)


def test_rows_that_were_parallel_for_long() -> None:
    steps = eager(GradVac(beta=1.0), 2)
    losses = np.ones(2, "float32")
    row = STEPS[0][0]
    steps(np.stack([row, row]), losses)
    nearly = np.stack([row, row + 1e-3 * STEPS[1][0]])
    np.testing.assert_allclose(steps(nearly, losses), nearly.sum(0), rtol=1e-2)
    # The target is bounded: turning by a right angle takes about 22 times
    # the other row, not infinitely many.
    steps(np.stack([row, row]), losses)
    found = steps(np.eye(2, 6), losses)
    assert np.all(np.isfinite(found))
    assert np.abs(found).max() < 25


def test_a_row_that_cancels_teaches_nothing() -> None:
    # The first row loses all it has to the second; what is left for the
    # third is rounding, without a direction.
    matrix = np.array([[1.0, 3.0], [-1.0, -3.0], [-1.0, -3.0]]) / 7
    aggregator = GradVac(beta=1.0)
    for _ in range(3):
        assert np.all(np.isfinite(weights(aggregator, matrix)))
        targets = np.array(aggregator.targets)
        assert np.all(np.abs(targets) <= 1.0 + 1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.5, -1, "a", float("nan"), True])
def test_what_is_no_beta(beta: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`beta` must be a number in \(0, 1\]. Received: beta=",
    ):
        GradVac(beta=beta)


def test_a_bad_seed() -> None:
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        GradVac(seed=0.5)


def test_another_number_of_rows_needs_another_instance() -> None:
    aggregator = GradVac()
    aggregator.weights(np.eye(2))
    with pytest.raises(
        ValueError,
        match=r"Aggregator 'gradvac' has a state for 2 rows. Received: a "
        r"Gramian of shape \(3, 3\). Use another instance",
    ):
        aggregator.weights(np.eye(3))
