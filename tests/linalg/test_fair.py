import numpy as np
import pytest
from scipy.optimize import least_squares

from keras_selfaux._linalg import fair_weights
from tests.linalg import helpers

modes = helpers.in_all_modes(fair_weights)


def residual(
    weights: np.ndarray, gramian: np.ndarray, alpha: float
) -> np.ndarray:
    """Returns `(Mw)_i w_i^(1 / alpha) - 1`."""
    return gramian @ weights * weights ** (1 / alpha) - 1


def solve(gramian: np.ndarray, alpha: float) -> np.ndarray:
    """Returns the root by least squares in the logarithm of w."""
    result = least_squares(
        lambda x: residual(np.exp(x), gramian, alpha),
        np.zeros(len(gramian)),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    return np.exp(result.x)


def vanishes(gramian: np.ndarray) -> bool:
    """Says if a convex combination of the rows at length 1 is about 0."""
    lengths = np.sqrt(np.diag(gramian))
    rows = helpers.factor(gramian / np.outer(lengths, lengths))
    ones = np.ones((1, len(gramian)))
    weights = helpers.least_nonnegative(
        np.vstack([rows, ones]), np.append(np.zeros(len(rows)), 1)
    )
    return np.linalg.norm(rows @ weights / weights.sum()) < 1e-2


@helpers.COUNTS
def test_random_gramians(count: int) -> None:
    generator = np.random.default_rng(0)
    solved = 0
    for gramian, present in helpers.gramians(count):
        alpha = generator.choice([0.5, 1.0, 2.0, 10.0])
        value, converged = helpers.numpy(modes[2](gramian, present, alpha))
        assert np.all(np.isfinite(value))
        assert np.all(value[~present] == 0)
        part = helpers.of_present(gramian, present)
        weights = value[present].astype("float64")
        if converged:
            assert weights.min() > 0
            # What float32 weights allow, if large terms cancel.
            size = np.abs(part) @ weights * weights ** (1 / alpha)
            error = np.abs(residual(weights, part, alpha))
            assert np.all(error <= 1e-6 + 1e-6 * size)
            solved += 1
        else:
            assert vanishes(part)
    assert solved > 0.4 * count


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_least_squares_finds_the_same(alpha: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        rows = generator.normal(size=(4, 8))
        gramian = (rows @ rows.T).astype("float32")
        solved = solve(gramian.astype("float64"), alpha)
        value, converged = modes[1](gramian, np.ones(4, bool), alpha)
        assert converged
        np.testing.assert_allclose(value, solved, rtol=1e-5)


@pytest.mark.parametrize(
    ("gramian", "alpha", "weights"),
    [
        # m w = w^(-1 / alpha): w = m^(-alpha / (1 + alpha)).
        ([[16]], 1.0, [1 / 4]),
        ([[8]], 2.0, [1 / 4]),
        ([[8]], 0.5, [1 / 2]),
        ([[4, 0], [0, 25]], 1.0, [1 / 2, 1 / 5]),
        # Alike: (m11 + m12) w = 1 / w.
        ([[3, -1], [-1, 3]], 1.0, [0.5**0.5, 0.5**0.5]),
        # The same row twice: 2 m w = w^(-1 / alpha).
        ([[2, 2], [2, 2]], 1.0, [1 / 2, 1 / 2]),
        # M w = 1 / w for w = (1, 1/2): 1 = 3/2 - 1/2, 2 = -1 + 6 / 2.
        ([[1.5, -1], [-1, 6]], 1.0, [1, 0.5]),
        # M w = w^(-1/2) for w = (1, 1/4): 1 = 5/4 - 1/4, 2 = -1 + 12 / 4.
        ([[1.25, -1], [-1, 12]], 2.0, [1, 0.25]),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_by_hand(
    gramian: list, alpha: float, weights: list, scale: float
) -> None:
    gramian = np.float32(gramian) * np.float32(scale)
    present = np.ones(len(gramian), bool)
    value, converged = modes[1](gramian, present, alpha)
    assert converged
    factor = scale ** (-alpha / (1 + alpha))
    np.testing.assert_allclose(value, np.array(weights) * factor, rtol=1e-5)


@pytest.mark.parametrize(
    "gramian",
    [
        [[1, -1], [-1, 1]],
        [[4, -2], [-2, 1]],
        [[1, 0], [0, 0]],
        [[0, 0], [0, 0]],
        # Three at 120 degrees.
        [[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]],
        # Two oppose each other; the third alone would have a solution.
        [[1, -1, 0], [-1, 1, 0], [0, 0, 1]],
    ],
)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_no_solution(gramian: list, alpha: float) -> None:
    present = np.ones(len(gramian), bool)
    value, converged = modes[1](np.float32(gramian), present, alpha)
    assert not converged
    assert np.all(np.isfinite(value))
    assert np.all(value.numpy() > 0)


def test_modes_agree() -> None:
    gramian = np.float32(np.eye(10) + 0.3)
    present = np.arange(10) != 4
    eager, *others = (
        helpers.numpy(run(gramian, present, 2.0)) for run in modes
    )
    assert eager[1]
    for other in others:
        np.testing.assert_allclose(other[0], eager[0], rtol=1e-6)
        assert other[1]


def test_a_mask_is_the_smaller_problem() -> None:
    gramian = np.float32([[4, np.inf, 0], [np.inf, np.nan, 0], [0, 0, 25]])
    value, converged = modes[1](gramian, np.array([True, False, True]), 1.0)
    assert converged
    np.testing.assert_allclose(value, [0.5, 0, 0.2], rtol=1e-6)


def test_none_is_present() -> None:
    value, converged = modes[1](np.ones((2, 2)), np.zeros(2, bool), 1.0)
    assert converged
    np.testing.assert_array_equal(value, [0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad: float) -> None:
    gramian = np.diag([1, bad] + [1] * 8).astype("float32")
    for run in modes[1:]:
        value, converged = run(gramian, np.ones(10, bool), 1.0)
        assert not converged
        np.testing.assert_array_equal(value, np.zeros(10))
