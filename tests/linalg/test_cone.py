import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._linalg import cone_weights
from tests.linalg import helpers

modes = helpers.in_all_modes(cone_weights)


def expected(gramian: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Returns `lower + x` for nonnegative least squares in x."""
    rows = helpers.factor(gramian)
    return lower + helpers.least_nonnegative(rows, -rows @ lower)


@helpers.COUNTS
def test_random_gramians(count: int) -> None:
    """UPGrad's ten problems and DualProj's, at once."""
    lower = np.float32(np.vstack([np.eye(10), np.ones((1, 10))]))
    generator = np.random.default_rng(0)
    for gramian, present in helpers.gramians(count):
        value, converged = helpers.numpy(modes[2](gramian, present, lower))
        assert converged
        assert np.all(value[:, ~present] == 0)
        assert np.all(value[:, present] >= lower[:, present])
        part = helpers.semidefinite(helpers.of_present(gramian, present))
        row = generator.choice([10, *np.flatnonzero(present)])
        weights = value[row, present].astype("float64")
        optimum = expected(part, lower[row, present])
        # Rounding the Gramian changes the value by this much.
        floor = 1e-6 * weights**2 @ np.diag(part)
        assert (
            weights @ part @ weights
            <= (optimum @ part @ optimum) * (1 + 1e-6) + floor
        )


@pytest.mark.parametrize(
    ("gramian", "lower", "weights"),
    [
        # No conflict: the bounds themselves.
        ([[1, 0.5], [0.5, 1]], [1, 1], [1, 1]),
        # v1 = 1: the best v2 is -m12 / m22 = 2 / 4.
        ([[9, -2], [-2, 4]], [1, 0], [1, 0.5]),
        # v2 = 1: the best v1 is 2 / 9.
        ([[9, -2], [-2, 4]], [0, 1], [2 / 9, 1]),
        # v2 = 1: the best v1 is 3 / 2.
        ([[2, -3], [-3, 9]], [1, 1], [1.5, 1]),
        # Opposing: the shortest of (1 + t, 1 + t).
        ([[1, -1], [-1, 1]], [1, 0], [1, 1]),
        ([[7]], [1], [1]),
        ([[2, 2], [2, 2]], [1, 1], [1, 1]),
        ([[0, 0], [0, 0]], [1, 2], [1, 2]),
        ([[1, -1], [-1, 2]], [0, 0], [0, 0]),
        # Bounds below 0 do not bind.
        ([[1, 0], [0, 2]], [-1, -1], [0, 0]),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_by_hand(
    gramian: list, lower: list, weights: list, scale: float
) -> None:
    gramian = np.float32(gramian) * np.float32(scale)
    present = np.ones(len(gramian), bool)
    value, converged = modes[1](gramian, present, np.float32(lower))
    assert converged
    np.testing.assert_allclose(value, weights, rtol=1e-5, atol=1e-6)


def test_a_batch_is_a_loop() -> None:
    ((gramian, present),) = helpers.gramians(1, seed=3)
    lower = np.random.default_rng(0).normal(size=(4, 10)).astype("float32")
    batch = modes[1](gramian, present, lower)
    assert batch.converged
    for row, value in zip(lower, batch.value, strict=True):
        single, converged = modes[1](gramian, present, row)
        assert converged
        np.testing.assert_allclose(value, single, rtol=1e-5, atol=1e-6)


def test_modes_agree() -> None:
    lower = tf.eye(11, 10)
    for gramian, present in helpers.gramians(1, seed=1):
        eager, *others = (
            helpers.numpy(run(gramian, present, lower)) for run in modes
        )
        for other in others:
            np.testing.assert_allclose(other[0], eager[0], rtol=1e-5, atol=1e-6)
            assert other[1] == eager[1]


def test_a_mask_is_the_smaller_problem() -> None:
    gramian = np.float32([[9, np.inf, -2], [np.inf, np.nan, 0], [-2, 0, 4]])
    present = np.array([True, False, True])
    value, converged = modes[1](gramian, present, np.float32([1, np.nan, 0]))
    assert converged
    np.testing.assert_allclose(value, [1, 0, 0.5], rtol=1e-6)


def test_none_is_present() -> None:
    value, converged = modes[1](np.ones((2, 2)), np.zeros(2, bool), np.ones(2))
    assert converged
    np.testing.assert_array_equal(value, [0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad: float) -> None:
    gramian = np.diag([1, bad] + [1] * 8).astype("float32")
    present, lower = np.ones(10, bool), np.float32(np.eye(11, 10))
    for run in modes[1:]:
        value, converged = run(gramian, present, lower)
        assert not converged
        np.testing.assert_array_equal(value, np.zeros((11, 10)))
    _, converged = modes[1](np.eye(2), np.ones(2, bool), np.float32([1, bad]))
    assert not converged
