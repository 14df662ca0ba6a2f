import numpy as np
import pytest

from keras_selfaux.aggregators import ImpartialGradient
from tests.aggregators.properties import STEPS, column, weights


def projections(matrix: np.ndarray) -> np.ndarray:
    """Of the update on the unit rows."""
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return units @ (weights(ImpartialGradient(), matrix) @ matrix)


def test_two_orthogonal_rows() -> None:
    # v = 1 / length = (1, 1/3), of sum 4/3; times 2.
    found = weights(ImpartialGradient(), np.diag([1.0, 3.0]))
    np.testing.assert_allclose(found, [1.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
@pytest.mark.parametrize("scales", [(1, 1, 1, 1, 1), (1e3, 1, 1, 1e-3, 1)])
def test_equal_projections(
    matrix: np.ndarray, scales: tuple[float, ...]
) -> None:
    matrix = column(*scales) * matrix
    found = projections(matrix)
    np.testing.assert_allclose(found, found.mean(), rtol=2e-2)
    assert found.mean() > 0
    size = np.abs(weights(ImpartialGradient(), matrix)).max()
    assert size <= 500


def inverse_sums(matrix: np.ndarray) -> np.ndarray:
    """v with M v = lengths, for rows that are independent."""
    gramian = matrix @ matrix.T
    return np.linalg.solve(gramian, np.sqrt(np.diagonal(gramian)))


def test_weights_whose_sum_is_negative_do_not_ascend() -> None:
    rng = np.random.default_rng(3)
    negative = 0
    for _ in range(500):
        matrix = rng.normal(size=(4, 5)) * 10.0 ** rng.uniform(-2, 2, (4, 1))
        if inverse_sums(matrix).sum() < 0:
            negative += 1
            assert projections(matrix).min() > 0
    assert negative > 3


def test_weights_are_bounded_where_their_sum_is_0() -> None:
    # The third row lies between the others, so that one entry of v is
    # negative; that row's length makes the sum of v vanish.
    matrix = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.95, 0.29, 0.116]])
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    v = inverse_sums(matrix)
    assert (v < 0).sum() == 1
    matrix[v < 0] *= -v[v < 0].sum() / v[v > 0].sum()
    np.testing.assert_allclose(inverse_sums(matrix).sum(), 0.0, atol=1e-9)
    # The sum of the sizes is 100 K.
    found = weights(ImpartialGradient(), matrix)
    np.testing.assert_allclose(np.abs(found).sum(), 300, rtol=1e-3)
    assert projections(matrix).min() > 0


def test_opposed_rows_have_no_impartial_direction() -> None:
    found = weights(ImpartialGradient(), [[1.0, 2.0], [-2.0, -4.0]])
    assert np.all(np.isfinite(found))
    update = found @ np.array([[1.0, 2.0], [-2.0, -4.0]])
    np.testing.assert_allclose(update, 0.0, atol=1e-4)
