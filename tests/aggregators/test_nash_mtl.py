import numpy as np
import pytest

from keras_selfaux.aggregators import NashMTL
from tests.aggregators.properties import STEPS, column, eager, weights


def test_two_orthogonal_rows() -> None:
    # |g|^2 a = 1 / a: a = 1 / |g| = (1, 1/3), scaled to sum to 2.
    found = weights(NashMTL(), np.diag([1.0, 3.0]))
    np.testing.assert_allclose(found, [1.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
def test_the_authors_scale_solves_the_equation(matrix: np.ndarray) -> None:
    a = weights(NashMTL(scale="authors"), matrix)
    assert np.all(a > 0)
    np.testing.assert_allclose(matrix @ (a @ matrix), 1 / a, rtol=1e-3)
    np.testing.assert_allclose(np.sum((a @ matrix) ** 2), 5, rtol=1e-3)


@pytest.mark.parametrize("matrix", STEPS)
def test_the_sum_scale_changes_nothing_but_the_length(
    matrix: np.ndarray,
) -> None:
    a = weights(NashMTL(scale="authors"), matrix)
    found = weights(NashMTL(), matrix)
    np.testing.assert_allclose(found, 5 * a / a.sum(), rtol=1e-4)


def test_lengths_of_rows_do_not_matter_for_the_direction() -> None:
    scales = column(1, 10, 100, 0.1, 1)
    aggregator = NashMTL(scale="authors")
    np.testing.assert_allclose(
        weights(aggregator, scales * STEPS[0]),
        weights(aggregator, STEPS[0]) / scales[:, 0],
        rtol=1e-3,
    )


@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_the_authors_length_whatever_the_rows(size: float) -> None:
    update = eager(NashMTL(scale="authors"))(size * STEPS[0])
    np.testing.assert_allclose(np.linalg.norm(update), np.sqrt(5), rtol=1e-3)


def test_what_is_no_scale() -> None:
    with pytest.raises(
        ValueError,
        match=r"`scale` must be one of \['sum', 'authors'\]. Received: "
        r"scale='mean'",
    ):
        NashMTL(scale="mean")
