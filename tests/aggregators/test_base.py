from typing import Any

import numpy as np
import pytest

from keras_selfaux._rows import rows_of
from keras_selfaux.aggregators import (
    Aggregator,
    Coefficients,
    GramianAggregator,
    NashMTL,
)
from tests.aggregators.properties import built, eager

ROWS = np.array([[2.0, 0.0], [0.0, 0.0], [1.0, -1.0]], "float32")


class Given(GramianAggregator):
    """Returns given coefficients, and keeps what it was asked."""

    def __init__(self, values: Any, converged: bool = True) -> None:
        super().__init__(name="given")
        self.values, self.converged = values, converged

    def solve(self, gramian: Any, present: Any) -> Coefficients:
        self.asked = np.array(gramian), np.array(present)
        return Coefficients(np.array(self.values, "float32"), self.converged)


def take(aggregator: Aggregator, matrix: np.ndarray = ROWS) -> np.ndarray:
    if not aggregator.built:
        built(aggregator, len(matrix), [matrix.shape[1:]])
    return np.array(aggregator(rows_of([matrix], np.ones(3, "float32")))[0])


def test_rows_are_combined_by_the_coefficients() -> None:
    # 3 (2, 0) + 0.5 (1, -1); the zero row has no say.
    np.testing.assert_allclose(take(Given([3, 9, 0.5])), [6.5, -0.5])


def test_a_method_sees_inner_products_of_scaled_rows() -> None:
    aggregator = Given([1, 1, 1])
    take(aggregator, 1e25 * ROWS)
    gramian, present = aggregator.asked
    scale = rows_of([1e25 * ROWS], np.ones(3, "float32")).scale
    np.testing.assert_allclose(
        gramian * (np.float64(scale) / 1e25) ** 2, ROWS @ ROWS.T, rtol=1e-5
    )
    np.testing.assert_array_equal(present, [True, False, True])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_method_sees_no_numbers_that_are_not_finite(value: float) -> None:
    aggregator, matrix = Given([1, 1, 1]), ROWS.copy()
    matrix[0, 1] = value
    assert not np.all(np.isfinite(take(aggregator, matrix)))
    gramian, present = aggregator.asked
    np.testing.assert_array_equal(present, [False, False, True])
    np.testing.assert_array_equal(gramian[:, :2], 0.0)


@pytest.mark.parametrize("degree", [0.0, -1.0, -4 / 3, 0.5])
def test_the_degree_undoes_the_scale(degree: float) -> None:
    aggregator = Given([1, 1, 1])
    aggregator.degree = degree
    rows = rows_of([1e4 * ROWS], np.ones(3, "float32"))
    built(aggregator, 3, [(2,)])
    np.testing.assert_allclose(
        aggregator.coefficients(rows),
        np.array([1, 0, 1]) * float(rows.scale) ** degree,
        rtol=1e-6,
    )


def test_weights_build_what_is_not_built() -> None:
    aggregator = Given([1, 2, 3])
    weights = aggregator.weights(ROWS @ ROWS.T)
    np.testing.assert_array_equal(weights, [1.0, 0.0, 3.0])
    assert aggregator.num_rows == 3


@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 2), ()])
def test_what_is_no_gramian(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"`gramian` must be a square matrix. Received: shape \(.*\). "
        r"Pass the inner products of the rows, shape \(K, K\).",
    ):
        Given([1]).weights(np.ones(shape))


def test_rows_of_something_else() -> None:
    with pytest.raises(
        ValueError,
        match=r"`rows` must be one of \['parameters', 'features'\]. Received: "
        r"rows='logits'",
    ):
        NashMTL(rows="logits")


def test_steps_without_solution_are_counted_and_reported_once() -> None:
    aggregator = Given([1, 1, 1], converged=False)
    for _ in range(3):
        take(aggregator)
    with pytest.warns(
        UserWarning,
        match="Aggregator 'given' did not find its solution in 3 steps of "
        "this epoch",
    ):
        aggregator.on_epoch_end()
    aggregator.on_epoch_end()  # without a warning


def test_an_overflow_is_no_failure_of_the_solver() -> None:
    aggregator = Given([1, 1, 1], converged=False)
    take(aggregator, ROWS * np.float32(np.nan))
    assert float(aggregator.failures) == 0.0


def test_opposed_rows_have_no_fair_share() -> None:
    steps = eager(NashMTL(), 2)
    matrix = np.array([[1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
    assert np.all(np.isfinite(steps(matrix, np.ones(2, "float32"))))
    assert float(steps.aggregator.failures) == 1.0


def test_a_subclass_says_how_to_combine() -> None:
    with pytest.raises(NotImplementedError):
        Aggregator().call(rows_of([ROWS], np.ones(3, "float32")))
    with pytest.raises(NotImplementedError):
        GramianAggregator().weights(np.eye(2))
