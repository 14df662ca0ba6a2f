import numpy as np
import pytest

from keras_selfaux.aggregators import FairGrad, NashMTL
from tests.aggregators.properties import STEPS, eager, weights


def test_two_orthogonal_rows() -> None:
    # |g|^2 w = w^(-1/2): w = |g|^(-4/3), 1 and 1/16 for lengths 1 and 8.
    found = weights(FairGrad(alpha=2.0), np.diag([1.0, 8.0]))
    np.testing.assert_allclose(found, [32 / 17, 2 / 17], rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
@pytest.mark.parametrize("alpha", [0.5, 1, 3.0])
def test_the_authors_scale_solves_the_equation(
    matrix: np.ndarray, alpha: float
) -> None:
    w = weights(FairGrad(alpha=alpha, scale="authors"), matrix)
    assert np.all(w > 0)
    np.testing.assert_allclose(
        matrix @ (w @ matrix), w ** (-1 / alpha), rtol=2e-3
    )


@pytest.mark.parametrize("scale", ["sum", "authors"])
def test_alpha_1_is_nash(scale: str) -> None:
    np.testing.assert_allclose(
        weights(FairGrad(alpha=1.0, scale=scale), STEPS[0]),
        weights(NashMTL(scale=scale), STEPS[0]),
        rtol=1e-5,
    )


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_steps_have_the_authors_scale_whatever_the_rows_length(
    alpha: float,
) -> None:
    # Rows 1000 times as long: M is 1e6 times as large.
    matrix = 1e3 * STEPS[0]
    aggregator = FairGrad(alpha=alpha, scale="authors")
    np.testing.assert_allclose(
        eager(aggregator)(matrix),
        weights(aggregator, matrix) @ matrix,
        rtol=1e-3,
        atol=1e-4 * np.abs(matrix).max(),
    )


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), "a", True])
def test_what_is_no_alpha(alpha: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`alpha` must be a positive number. Received: alpha=",
    ):
        FairGrad(alpha=alpha)


def test_what_is_no_scale() -> None:
    with pytest.raises(ValueError, match="`scale` must be one of"):
        FairGrad(scale=1.0)
