import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._linalg import min_norm_weights
from tests.linalg import helpers

modes = helpers.in_all_modes(min_norm_weights)


def expected(gramian: np.ndarray) -> np.ndarray:
    """Returns the weights by nonnegative least squares."""
    rows = helpers.factor(gramian)
    shortest = np.sqrt(np.diag(gramian).min())
    row = np.full((1, len(gramian)), shortest)
    right = np.append(np.zeros(len(rows)), shortest)
    weights = helpers.least_nonnegative(np.vstack([rows, row]), right)
    return weights / weights.sum()


@helpers.COUNTS
def test_random_gramians(count: int) -> None:
    for gramian, present in helpers.gramians(count):
        value, converged = helpers.numpy(modes[2](gramian, present))
        assert converged
        assert np.all(value[~present] == 0)
        weights = value[present].astype("float64")
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
        part = helpers.of_present(gramian, present)
        optimum = expected(part) @ part @ expected(part)
        floor = 1e-6 * np.diag(part).max()
        assert weights @ part @ weights <= optimum * (1 + 1e-6) + floor
        # Much closer than that, where rows are short.
        floor = 1e-5 * np.diag(part).min()
        assert weights @ part @ weights <= optimum * (1 + 1e-6) + floor


@pytest.mark.parametrize(
    ("gramian", "weights"),
    [
        # g1 = (1, 0), g2 = (0, 2): w1 = |g2|^2 / (|g1|^2 + |g2|^2).
        ([[1, 0], [0, 4]], [0.8, 0.2]),
        # g1 = (2, 0), g2 = (-1, 1): (m22 - m12) / (m11 + m22 - 2 m12).
        ([[4, -2], [-2, 2]], [0.4, 0.6]),
        # g1 = (1, 0), g2 = (3, 1): the shorter one alone.
        ([[1, 3], [3, 10]], [1, 0]),
        # Opposing: 3 w1 = w2.
        ([[9, -3], [-3, 1]], [0.25, 0.75]),
        ([[7]], [1]),
        ([[2, 2], [2, 2]], [0.5, 0.5]),
        ([[0, 0], [0, 0]], [0.5, 0.5]),
        # A gradient that is 0 is the shortest.
        ([[1, 0], [0, 0]], [0, 1]),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_by_hand(gramian: list, weights: list, scale: float) -> None:
    gramian = np.float32(gramian) * np.float32(scale)
    value, converged = min_norm_weights(gramian, np.ones(len(gramian), bool))
    assert converged
    np.testing.assert_allclose(value, weights, atol=1e-6)


@pytest.mark.slow
def test_modes_agree() -> None:
    for gramian, present in helpers.gramians(3, seed=1):
        eager, *others = (helpers.numpy(run(gramian, present)) for run in modes)
        for other in others:
            np.testing.assert_allclose(other[0], eager[0], atol=1e-6)
            assert other[1] == eager[1]


def test_a_mask_is_the_smaller_problem() -> None:
    gramian = np.float32([[4, -2, np.inf], [-2, 2, 0], [np.inf, 0, np.nan]])
    value, converged = min_norm_weights(gramian, np.array([True, True, False]))
    assert converged
    np.testing.assert_allclose(value, [0.4, 0.6, 0], atol=1e-6)


def test_none_is_present() -> None:
    value, converged = min_norm_weights(np.ones((2, 2)), np.zeros(2, bool))
    assert converged
    np.testing.assert_array_equal(value, [0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad: float) -> None:
    gramian = tf.constant(np.diag([1, bad] + [1] * 8).astype("float32"))
    for run in modes:
        value, converged = helpers.numpy(run(gramian, np.ones(10, bool)))
        assert not converged
        np.testing.assert_array_equal(value, np.zeros(10))


def test_not_a_gramian() -> None:
    gramian = np.float32([[-1, 5, 0], [5, -1, 3], [0, 3, 1]])
    value, _ = min_norm_weights(gramian, np.ones(3, bool))
    assert np.all(np.isfinite(value))
