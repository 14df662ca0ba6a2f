import numpy as np
import pytest

from keras_selfaux.aggregators import AlignedMTL
from tests.aggregators.properties import STEPS, weights

COMMON = {
    "min": np.min,
    "median": np.median,
    "rmse": lambda values: np.sqrt(np.mean(values**2)),
}


def test_two_orthogonal_rows() -> None:
    # Both become as long as the shortest.
    found = weights(AlignedMTL(), np.diag([1.0, 2.0]))
    np.testing.assert_allclose(found, [1.0, 0.5], rtol=1e-5)


@pytest.mark.parametrize("mode", COMMON)
def test_orthogonal_rows_of_equal_length_stay(mode: str) -> None:
    matrix = 3 * np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    found = weights(AlignedMTL(scale_mode=mode), matrix)
    np.testing.assert_allclose(found, np.ones(4), rtol=1e-3)


@pytest.mark.parametrize(
    ("mode", "lengths", "common"),
    [
        ("median", (1, 2, 8), 2),
        ("median", (1, 2), 1.5),
        ("median", (1, 2, 4, 8), 3),
        ("median", (1, 0, 8, 2), 2),  # a row left out has no singular value
        ("rmse", (1, 7), 5),
        ("rmse", (1, 0, 7), 5),
        ("min", (3, 0, 7), 3),
    ],
)
def test_scale_modes(
    mode: str, lengths: tuple[float, ...], common: float
) -> None:
    found = weights(AlignedMTL(scale_mode=mode), np.diag(lengths))
    expected = [common / length if length else 0.0 for length in lengths]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("matrix", STEPS)
@pytest.mark.parametrize("mode", COMMON)
def test_the_singular_values_become_one(matrix: np.ndarray, mode: str) -> None:
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    expected = COMMON[mode](s) * np.ones(5) @ u @ vt
    found = weights(AlignedMTL(scale_mode=mode), matrix) @ matrix
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_dependent_rows() -> None:
    # Twice the row a, beside b at a right angle: singular values √2 and 3.
    # The aligned rows are a, a and √2/3 b.
    matrix = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    found = weights(AlignedMTL(), matrix)
    np.testing.assert_allclose(found, [1, 1, np.sqrt(2) / 3], rtol=1e-4)


def test_what_is_no_scale_mode() -> None:
    with pytest.raises(
        ValueError,
        match=r"`scale_mode` must be one of \['min', 'median', 'rmse'\]. "
        r"Received: scale_mode='max'",
    ):
        AlignedMTL(scale_mode="max")
