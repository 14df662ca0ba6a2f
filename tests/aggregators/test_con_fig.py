import numpy as np
import pytest

from keras_selfaux.aggregators import ConFIG
from tests.aggregators.properties import STEPS, column, weights


def unit(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)


def test_two_orthogonal_rows() -> None:
    # The direction is (1, 1) / √2, the projections 1 / √2 and 3 / √2:
    # the update is (2, 2).
    found = weights(ConFIG(), np.diag([1.0, 3.0]))
    np.testing.assert_allclose(found, [2.0, 2 / 3], rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
def test_equal_cosines_and_the_sum_of_projections(matrix: np.ndarray) -> None:
    matrix = column(1, 100, 1, 0.01, 1) * matrix
    update = weights(ConFIG(), matrix) @ matrix
    cosines = unit(matrix) @ unit(update)
    np.testing.assert_allclose(cosines, cosines.mean(), atol=2e-3)
    assert cosines.mean() > 0
    np.testing.assert_allclose(
        np.linalg.norm(update), (matrix @ unit(update)).sum(), rtol=2e-3
    )


@pytest.mark.parametrize("matrix", STEPS)
def test_more_rows_than_dimensions(matrix: np.ndarray) -> None:
    matrix = matrix[:, :3]
    direction = unit(np.linalg.pinv(unit(matrix)) @ np.ones(5))
    expected = (matrix @ direction).sum() * direction
    found = weights(ConFIG(), matrix) @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_opposed_rows_cancel() -> None:
    matrix = np.array([[1.0, 2.0], [-1.0, -2.0]])
    update = weights(ConFIG(), matrix) @ matrix
    np.testing.assert_allclose(update, 0.0, atol=1e-4)
