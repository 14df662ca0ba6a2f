import itertools

import numpy as np
import pytest

from keras_selfaux.aggregators import PCGrad, UPGrad
from tests.aggregators.properties import STEPS, eager, weights


def bent(matrix: np.ndarray, orders: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """The sum of the rows, each projected in an order of its own."""
    total = np.zeros(matrix.shape[1])
    for i, order in enumerate(orders):
        row = matrix[i].astype("float64")
        for j in order:
            other = matrix[j]
            row = row - min(row @ other, 0.0) / (other @ other) * other
        total += row
    return total


def test_two_rows() -> None:
    # g1 = (1, 0), g2 = (-1, 1): g1.g2 = -1. g1 gets 1/|g2|^2 = 1/2 of g2,
    # g2 gets 1/|g1|^2 = 1 of g1.
    found = weights(PCGrad(), [[1.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(found, [2.0, 1.5], rtol=1e-6)


def test_rows_that_do_not_conflict_are_summed() -> None:
    found = weights(PCGrad(), [[1.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1, 1]])
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("step", range(3))
def test_two_rows_are_as_in_upgrad(step: int) -> None:
    pair = STEPS[step][:2].copy()
    pair[1] -= 2 * pair[0]  # they conflict
    np.testing.assert_allclose(
        weights(PCGrad(), pair), weights(UPGrad(), pair), rtol=1e-4
    )


def test_three_rows_meet_in_random_order() -> None:
    matrix = np.array([[1, 0, 0], [-1, 1, 0.2], [-0.5, -1, 1]], "float32")
    per_row = [
        list(itertools.permutations([j for j in range(3) if j != i]))
        for i in range(3)
    ]
    possible = [bent(matrix, o) for o in itertools.product(*per_row)]
    steps = eager(PCGrad(seed=1), 3)
    seen = set()
    for _ in range(40):
        found = steps(matrix, np.ones(3, "float32"))
        errors = [np.abs(found - update).max() for update in possible]
        assert min(errors) < 1e-5
        seen.add(int(np.argmin(errors)))
    assert len(seen) >= 3


def test_opposed_rows_vanish() -> None:
    matrix = np.array([[1.0, 2.0], [-2.0, -4.0]])
    found = weights(PCGrad(), matrix) @ matrix
    np.testing.assert_allclose(found, 0.0, atol=1e-6)


@pytest.mark.parametrize("seed", [1.5, -1, "a", True])
def test_what_is_no_seed(seed: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`seed` must be an integer of at least 0, or None. Received: "
        r"seed=",
    ):
        PCGrad(seed=seed)
