import numpy as np
import pytest
from scipy.optimize import nnls

from keras_selfaux.aggregators import DualProjection
from tests.aggregators.properties import STEPS, column, weights


def test_two_rows() -> None:
    # g1 = (1, 0), g2 = (-2, 1): the sum (-1, 1) conflicts with g1. Without
    # that part it is (0, 1) = 2 g1 + g2.
    found = weights(DualProjection(), [[1.0, 0.0], [-2.0, 1.0]])
    np.testing.assert_allclose(found, [2.0, 1.0], rtol=1e-4)


def test_a_sum_that_conflicts_with_no_row_stays() -> None:
    # The rows conflict with each other, not with their sum (0.5, 1).
    found = weights(DualProjection(), [[1.0, 0.0], [-0.5, 1.0]])
    np.testing.assert_allclose(found, [1.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
@pytest.mark.parametrize("last", [1, -5])
def test_the_sum_is_projected_onto_the_dual_cone(
    matrix: np.ndarray, last: float
) -> None:
    matrix = column(1, 1, 1, 1, last) * matrix
    total = matrix.sum(0)
    expected = total + nnls(matrix.T, -total)[0] @ matrix
    found = weights(DualProjection(), matrix) @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert (matrix @ found).min() > -2e-3
