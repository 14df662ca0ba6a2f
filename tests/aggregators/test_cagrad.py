import numpy as np
import pytest

from keras_selfaux.aggregators import CAGrad
from tests.aggregators.properties import STEPS, weights


def test_two_orthogonal_rows() -> None:
    # By symmetry w = (1/2, 1/2) and g_w = g_0: g_0 (1 + 0.5) / 1.25, times 2.
    found = weights(CAGrad(c=0.5), np.eye(2))
    np.testing.assert_allclose(found, [1.2, 1.2], rtol=1e-5)


def test_the_worst_off_row_has_the_weight() -> None:
    # g = (2, -1) on a line: g_0 = 0.5. g_w g_0 + c |g_0| |g_w| =
    # 0.5 s + 0.2 |s| for s in [-1, 2] is least at s = -1: w = (0, 1).
    found = weights(CAGrad(c=0.4), [[2.0], [-1.0]])
    expected = np.array([0.5, 0.5 + 0.4 * 0.5]) * 2 / 1.16
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_combination_without_direction_is_left_out() -> None:
    # As above with c = 2: 0.5 s + |s| is least at s = 0, where g_w is 0.
    found = weights(CAGrad(c=2.0), [[2.0], [-1.0]])
    np.testing.assert_allclose(found, [0.2, 0.2], rtol=1e-4)


@pytest.mark.parametrize("matrix", STEPS)
def test_without_radius_it_is_the_sum(matrix: np.ndarray) -> None:
    np.testing.assert_allclose(weights(CAGrad(c=0), matrix), np.ones(5))


@pytest.mark.parametrize(("c", "step"), [(0.2, 1), (0.8, 2)])
def test_no_point_of_the_ball_is_better_for_the_worst_off(
    c: float, step: int
) -> None:
    matrix = STEPS[step]
    mean = matrix.mean(0)
    point = weights(CAGrad(c=c), matrix) @ matrix * (1 + c**2) / len(matrix)
    radius = c * np.linalg.norm(mean)
    np.testing.assert_allclose(np.linalg.norm(point - mean), radius, rtol=1e-4)
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(5000, matrix.shape[1]))
    others = mean + radius * steps / np.linalg.norm(steps, axis=1)[:, None]
    best = (others @ matrix.T).min(1).max()
    assert (matrix @ point).min() >= best - 1e-4


@pytest.mark.parametrize("c", [-0.1, float("nan"), "a", None])
def test_what_is_no_radius(c: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`c` must be zero or a positive number. Received: c=",
    ):
        CAGrad(c=c)
