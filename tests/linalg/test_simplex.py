import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import brentq

from keras_selfaux._linalg import project_to_simplex


def expected(values: np.ndarray) -> np.ndarray:
    """Finds the threshold as the root of `sum max(values - t, 0) = 1`."""
    top = values.max()
    root = brentq(
        lambda t: np.maximum(values - t, 0).sum() - 1,
        top - 1,
        top,
        xtol=1e-15,
    )
    return np.maximum(values - root, 0)


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        # Sums to 1 already.
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        # t = (1 + 0.5 - 1) / 2 = 0.25; the third is below it.
        ([1.0, 0.5, -1.0], [0.75, 0.25, 0.0]),
        ([5.0, 1.0, 1.0], [1.0, 0.0, 0.0]),
        ([-7.0, -7.0, -7.0], [1 / 3, 1 / 3, 1 / 3]),
        ([3.0], [1.0]),
    ],
)
def test_by_hand(values: list[float], weights: list[float]) -> None:
    result = project_to_simplex(np.float32(values), np.ones(len(values), bool))
    np.testing.assert_allclose(result, weights, atol=1e-7)


def test_1000_points_with_masks() -> None:
    generator = np.random.default_rng(0)
    run = tf.function(project_to_simplex)
    for _ in range(1000):
        values = generator.normal(size=10) * 10 ** generator.uniform(-3, 3)
        values = values.astype("float32")
        present = generator.random(10) < 0.6
        present[generator.integers(10)] = True
        wanted = np.zeros(10)
        wanted[present] = expected(values[present].astype("float64"))
        values[~present] = np.nan
        result = run(tf.constant(values), tf.constant(present))
        np.testing.assert_allclose(result, wanted, atol=1e-6)


def test_modes_agree() -> None:
    values = tf.constant([0.9, 0.4, -0.3, 5.0])
    present = tf.constant([True, True, True, False])
    compiled = tf.function(project_to_simplex, jit_compile=True)
    # t = (0.9 + 0.4 - 1) / 2 = 0.15
    for run in [project_to_simplex, tf.function(project_to_simplex), compiled]:
        result = run(values, present)
        np.testing.assert_allclose(result, [0.75, 0.25, 0, 0], atol=1e-7)


def test_large_values() -> None:
    values = np.float32([3e38, -3e38, 3e38])
    result = project_to_simplex(values, np.ones(3, bool))
    np.testing.assert_allclose(result, [0.5, 0, 0.5])


def test_none_is_present() -> None:
    result = project_to_simplex(np.float32([1, 2]), np.zeros(2, bool))
    np.testing.assert_array_equal(result, [0, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value: float) -> None:
    result = project_to_simplex(np.float32([1, value]), np.ones(2, bool))
    assert np.isnan(result).any()
