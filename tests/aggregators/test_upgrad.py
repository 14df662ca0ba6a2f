import numpy as np
import pytest
from scipy.optimize import nnls

from keras_selfaux.aggregators import UPGrad
from tests.aggregators.properties import STEPS, column, weights


def test_two_rows() -> None:
    # g1 = (1, 0), g2 = (-1, 1). Off g2, g1 becomes g1 + g2 / 2; off g1, g2
    # becomes g2 + g1.
    found = weights(UPGrad(), [[1.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(found, [2.0, 1.5], rtol=1e-4)


def test_rows_that_do_not_conflict_are_summed() -> None:
    found = weights(UPGrad(), [[1.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1, 1]])
    np.testing.assert_allclose(found, np.ones(3), rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
def test_each_row_is_projected_onto_the_dual_cone(matrix: np.ndarray) -> None:
    # The nearest point to g_i that conflicts with none is g_i + Gᵀ x with
    # x >= 0, as short as possible.
    expected = sum(row + nnls(matrix.T, -row)[0] @ matrix for row in matrix)
    found = weights(UPGrad(), matrix) @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("matrix", STEPS)
def test_the_update_conflicts_with_no_row(matrix: np.ndarray) -> None:
    matrix = column(1, -10, 1, -0.1, -1) * matrix
    assert (matrix @ (weights(UPGrad(), matrix) @ matrix)).min() > -1e-3
