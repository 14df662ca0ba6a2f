import numpy as np
import pytest
from scipy.stats import trim_mean

from keras_selfaux.aggregators import TrimmedMean
from tests.aggregators.properties import LOSSES, STEPS, column, eager


def test_by_hand() -> None:
    # Without 1 and 100 the mean of 2, 3, 4 is 3; times 5.
    matrix = np.array([100, 3, 1, 4, 2], "float32")[:, None] * np.ones((1, 6))
    found = eager(TrimmedMean())(matrix)
    np.testing.assert_allclose(found, np.full(6, 15.0))


@pytest.mark.parametrize("trim_number", [0, 1, 2])
@pytest.mark.parametrize("matrix", STEPS)
def test_as_scipy(trim_number: int, matrix: np.ndarray) -> None:
    found = eager(TrimmedMean(trim_number))(matrix)
    # Half an entry more, lest rounding takes one away.
    expected = 5 * trim_mean(matrix, (trim_number + 0.5) / 5.01, axis=0)
    if trim_number == 2:
        np.testing.assert_allclose(found, 5 * np.median(matrix, 0), rtol=1e-5)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("present", [1, 2, 3, 4])
def test_too_few_rows(present: int) -> None:
    # As much as leaves one of an odd number, or two of an even one.
    keep = np.arange(5) < present
    matrix = column(*keep) * STEPS[0]
    found = eager(TrimmedMean(trim_number=9))(matrix, LOSSES)
    expected = present * np.median(STEPS[0][keep], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("trim_number", [-1, 1.0, "a", True])
def test_what_is_no_number(trim_number: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`trim_number` must be an integer of at least 0. Received: "
        r"trim_number=",
    ):
        TrimmedMean(trim_number=trim_number)
