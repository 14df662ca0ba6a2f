import numpy as np
import pytest

from keras_selfaux.aggregators import MGDA
from tests.aggregators.properties import STEPS, weights


def test_two_orthogonal_rows() -> None:
    # |w g1 + (1 - w) g2|^2 = w^2 + 4 (1 - w)^2 is least at w = 0.8; times 2.
    found = weights(MGDA(), [[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(found, [1.6, 0.4], rtol=1e-5)


def test_a_short_row_on_the_way_to_a_long_one_has_it_all() -> None:
    # The min-norm point of the segment from (1, 0) to (3, 1) is (1, 0).
    found = weights(MGDA(), [[1.0, 0.0], [3.0, 1.0]])
    np.testing.assert_allclose(found, [2.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
def test_every_task_gains_as_much_as_the_update_is_long(
    matrix: np.ndarray,
) -> None:
    # At the min-norm point d of the hull, g_i.d >= |d|^2, with equality
    # where the weight is positive.
    w = weights(MGDA(), matrix) / len(matrix)
    point = w @ matrix
    gains = matrix @ point
    assert np.all(gains >= point @ point - 1e-4)
    np.testing.assert_allclose(gains[w > 1e-3], point @ point, atol=1e-4)
    np.testing.assert_allclose(w.sum(), 1.0, rtol=1e-5)


def test_opposed_rows_cancel() -> None:
    found = weights(MGDA(), [[1.0], [-3.0]])
    np.testing.assert_allclose(found, [1.5, 0.5], rtol=1e-4)
