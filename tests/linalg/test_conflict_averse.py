import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from keras_selfaux._linalg import conflict_averse_weights
from tests.linalg import helpers

modes = helpers.in_all_modes(conflict_averse_weights)


def objective(weights: np.ndarray, gramian: np.ndarray, radius: float) -> float:
    mean = np.full(len(gramian), 1 / len(gramian))
    length = np.sqrt(max(mean @ gramian @ mean, 0))
    norm = np.sqrt(max(weights @ gramian @ weights, 0))
    return weights @ gramian @ mean + radius * length * norm


def bound(weights: np.ndarray, gramian: np.ndarray, radius: float) -> float:
    """Returns `min_i <g_i, d>` for a d in the ball: at most the optimum.

    That is the primal problem; d is `g + radius |g| g_w / |g_w|`.
    """
    mean = np.full(len(gramian), 1 / len(gramian))
    length = np.sqrt(max(mean @ gramian @ mean, 0))
    norm = np.sqrt(max(weights @ gramian @ weights, 0))
    factor = radius * length / max(norm, 1e-300)
    return (gramian @ (mean + factor * weights)).min()


def search(start: np.ndarray, gramian: np.ndarray, radius: float) -> float:
    """Returns what SciPy finds, starting from given weights and the mean."""
    scale = gramian.max()
    best = np.inf
    for weights in [start, np.full(len(start), 1 / len(start))]:
        result = minimize(
            lambda w: objective(w, gramian / scale, radius),
            weights,
            method="SLSQP",
            bounds=[(0, 1)] * len(start),
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-13, "maxiter": 200},
        )
        found = np.maximum(result.x, 0)
        best = min(best, objective(found / found.sum(), gramian, radius))
    return best


@helpers.COUNTS
def test_random_gramians(count: int) -> None:
    generator = np.random.default_rng(0)
    searched = 0
    for gramian, present in helpers.gramians(count):
        radius = generator.choice([0.0, 0.1, 0.4, 0.9, 1.0, 3.0])
        value, converged = helpers.numpy(modes[2](gramian, present, radius))
        assert converged
        assert np.all(value[~present] == 0)
        weights = value[present].astype("float64")
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
        part = helpers.semidefinite(helpers.of_present(gramian, present))
        found = objective(weights, part, radius)
        floor = 1e-6 * np.diag(part).max()
        optimum = bound(weights, part, radius)
        # No certificate where `g_w` is 0.
        if found > optimum + 1e-6 * abs(optimum) + floor:
            optimum = search(weights, part, radius)
            searched += 1
        assert found <= optimum + 1e-6 * abs(optimum) + floor
    assert searched < 0.4 * count


@pytest.mark.parametrize(
    ("gramian", "radius", "weights"),
    [
        # g1 = (1, 0), g2 = (0, 1): alike.
        ([[1, 0], [0, 1]], 0.5, [0.5, 0.5]),
        # g1 = (1, 0), g2 = (0, 2): Mu = (1/2, 2), sqrt(u'Mu) = 1.12. Along
        # w1 the first term has the slope -3/2, and |g_w| at most 1, which it
        # has at w1 = 1. In total at most -3/2 + 0.56: w1 = 1 is best.
        ([[1, 0], [0, 4]], 0.5, [1, 0]),
        # No ball: the row that the mean gains least from.
        ([[1, 0], [0, 4]], 0.0, [1, 0]),
        # Only the norm counts, in the limit: w1 = 4 / (1 + 4).
        ([[1, 0], [0, 4]], 1e6, [0.8, 0.2]),
        ([[7]], 0.4, [1]),
        ([[2, 2], [2, 2]], 0.4, [0.5, 0.5]),
        # The mean is 0: all weights are alike.
        ([[1, -1], [-1, 1]], 0.4, [0.5, 0.5]),
        ([[0, 0], [0, 0]], 0.4, [0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_by_hand(
    gramian: list, radius: float, weights: list, scale: float
) -> None:
    gramian = np.float32(gramian) * np.float32(scale)
    present = np.ones(len(gramian), bool)
    value, converged = modes[1](gramian, present, radius)
    assert converged
    np.testing.assert_allclose(value, weights, atol=1e-5)


@pytest.mark.slow
def test_modes_agree() -> None:
    eagerly, in_graph, compiled = modes
    gramian = np.float32([[4, -2, 1], [-2, 2, 0], [1, 0, 3]])
    present = np.ones(3, bool)
    eager = helpers.numpy(eagerly(gramian, present, 0.4))
    graph = helpers.numpy(in_graph(gramian, present, 0.4))
    np.testing.assert_allclose(eager[0], graph[0], atol=1e-6)
    assert eager[1]
    assert graph[1]
    for gramian, present in helpers.gramians(5, seed=1):
        graph = helpers.numpy(in_graph(gramian, present, 0.4))
        other = helpers.numpy(compiled(gramian, present, 0.4))
        np.testing.assert_allclose(other[0], graph[0], atol=1e-6)
        assert other[1] == graph[1]


def test_a_mask_is_the_smaller_problem() -> None:
    small = np.float32([[4, -2], [-2, 2]])
    large = np.float32([[4, np.inf, -2], [np.inf, np.nan, 0], [-2, 0, 2]])
    wanted = modes[1](small, np.ones(2, bool), 0.4)
    value, converged = modes[1](large, np.array([True, False, True]), 0.4)
    assert wanted.converged
    assert converged
    w1, w2 = wanted.value.numpy()
    np.testing.assert_allclose(value, [w1, 0, w2], atol=1e-6)


def test_none_is_present() -> None:
    present = np.zeros(2, bool)
    value, converged = modes[1](np.ones((2, 2)), present, 0.4)
    assert converged
    np.testing.assert_array_equal(value, [0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad: float) -> None:
    gramian = tf.constant(np.diag([1, bad] + [1] * 8).astype("float32"))
    for run in modes[1:]:
        value, converged = run(gramian, np.ones(10, bool), 0.4)
        assert not converged
        np.testing.assert_array_equal(value, np.zeros(10))
