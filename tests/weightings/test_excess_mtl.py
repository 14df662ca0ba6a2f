from collections.abc import Sequence

import numpy as np
import pytest

from keras_selfaux import TransferGraph
from keras_selfaux.weightings import ExcessMTL
from tests.properties import assert_finite
from tests.weightings.helpers import THREE, TWO, apply, built, rows, weights

ONES = np.ones(2, "float32")


def made(
    graph: TransferGraph = TWO, size: int = 2, **options: object
) -> ExcessMTL:
    weighting = built(ExcessMTL(**options), graph)
    weighting.build_rows([(len(graph.tasks), size)])
    return weighting


def learn(weighting: ExcessMTL, *gradients: Sequence[float]) -> None:
    """Takes a step with unweighted gradients."""
    losses = np.ones(len(gradients), "float32")
    factors = weights(weighting, losses)[:, None]
    apply(weighting, losses, rows=rows(*(factors * np.array(gradients))))


def test_steps_worked_by_hand() -> None:
    # First, S = g² and e = |3| + |4| = 7 and 1: both 1 when divided by
    # their own first value, so that nothing changes.
    weighting = made(step_size=1.0)
    learn(weighting, [3.0, 4.0], [1.0, 0.0])
    np.testing.assert_allclose(weights(weighting, ONES), ONES, rtol=1e-6)
    # Then S = 18, 32 and 5, 0:
    #   e / 7 = (9 / sqrt(18) + 16 / sqrt(32)) / 7 = 0.707107
    #   e / 1 = 4 / sqrt(5) = 1.788854
    # exp: 2.028115 and 5.982592; times 2, divided by their sum 8.010707.
    learn(weighting, [3.0, 4.0], [2.0, 0.0])
    found = weights(weighting, ONES)
    np.testing.assert_allclose(found, [0.506351, 1.493649], rtol=1e-4)
    # Then S = 27, 48 and 5, 0:
    #   e / 7 = (9 / sqrt(27) + 16 / sqrt(48)) / 7 = 0.577350
    #   e / 1 = 0
    # 0.506351 * exp(0.577350) = 0.902005 and 1.493649; their sum is
    # 2.395654.
    learn(weighting, [3.0, 4.0], [0.0, 0.0])
    found = weights(weighting, ONES)
    np.testing.assert_allclose(found, [0.753035, 1.246965], rtol=1e-4)


def test_weights_do_not_count_in_the_gradients() -> None:
    weighting = made()
    weighting.raw.assign([0.5, 1.5])
    apply(weighting, ONES, rows=rows([1.5, 2.0], [1.5, 0.0]))
    np.testing.assert_allclose(weighting.squares[0], [[9, 16], [1, 0]], 1e-6)
    np.testing.assert_allclose(weighting.first, [7.0, 1.0], rtol=1e-5)


def test_a_task_far_from_convergence_gains_weight() -> None:
    weighting = made()
    learn(weighting, [1.0, 1.0], [1.0, 1.0])
    for shrunk in (0.5, 0.25, 0.1):
        learn(weighting, [1.0, 1.0], [shrunk, shrunk])
    found = weights(weighting, ONES)
    assert found[0] > 1 > found[1]


def test_the_scale_of_a_task_does_not_matter() -> None:
    weighting = made()
    for shrunk in (1.0, 0.5, 0.25):
        learn(weighting, [shrunk, shrunk], [1e3 * shrunk, 1e3 * shrunk])
    np.testing.assert_allclose(weights(weighting, ONES), ONES, rtol=1e-5)


def test_several_variables_count_as_one() -> None:
    weighting, other = made(), built(ExcessMTL(), TWO)
    other.build_rows([(2, 1), (2, 1)])
    for gradients in ([[3.0, 4.0], [1.0, 0.5]], [[1.0, 2.0], [0.1, 2.0]]):
        whole = rows(*gradients)
        apply(weighting, ONES, rows=whole)
        parts = [whole.tensors[0][:, :1], whole.tensors[0][:, 1:]]
        apply(other, ONES, rows=whole._replace(tensors=parts))
    np.testing.assert_allclose(weighting.raw, other.raw, rtol=1e-6)


def test_the_first_gradient_that_is_not_zero_is_the_yardstick() -> None:
    weighting = made()
    learn(weighting, [1.0, 1.0], [0.0, 0.0])
    learn(weighting, [1.0, 1.0], [3.0, 4.0])
    np.testing.assert_allclose(weighting.first, [2.0, 7.0], rtol=1e-5)


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e20, 1e36])
def test_tiny_and_huge_gradients_leave_the_state_finite(size: float) -> None:
    weighting = made()
    for gradients in ([[size, size], [1.0, 1.0]], [[1.0, 1.0], [size, size]]):
        learn(weighting, *gradients)
    assert_finite(weighting)
    assert np.all(np.isfinite(weights(weighting, ONES)))


def test_entries_beyond_the_largest_count_as_the_largest() -> None:
    weighting = made()
    learn(weighting, [1e30, 0.0], [1.0, 1.0])
    np.testing.assert_allclose(weighting.squares[0][0], [1e34, 0], rtol=1e-5)


def test_sums_of_squares_stop_before_infinity() -> None:
    weighting = made()
    weighting.squares[0].assign(np.full((2, 2), 1e38))
    learn(weighting, [1e30, 1e30], [1e30, 1e30])
    np.testing.assert_array_equal(weighting.squares[0], np.float32(1e38))


def test_a_gradient_that_is_not_finite_leaves_the_others_as_if_alone() -> None:
    weighting, alone = (
        made(THREE, 3, step_size=1.0),
        made(size=3, step_size=1.0),
    )
    nothing = [np.nan, 0.0, 0.0]
    for gradients in ([[1, 2, 3], [2, 1, 0]], [[1, 1, 1], [2, 0, 0]]):
        learn(weighting, *gradients, nothing)
        learn(alone, *gradients)
    np.testing.assert_allclose(weighting.raw[:2], alone.raw, rtol=1e-6)
    assert weighting.raw[2] == 1
    assert_finite(weighting)


def test_weights_do_not_fall_to_zero() -> None:
    weighting = made(step_size=1e3)
    for _ in range(3):
        learn(weighting, [1.0, 0.0], [0.0, 1e-9])
    learn(weighting, [1.0, 0.0], [0.0, 0.0])
    found = weights(weighting, ONES)
    assert found[1] >= 1e-3
    np.testing.assert_allclose(found[0], 2.0, rtol=1e-2)


def test_it_asks_for_rows() -> None:
    assert ExcessMTL.needs_rows


@pytest.mark.parametrize(
    "changed", [{"by": "edge"}, {"normalize": "branch"}], ids=str
)
def test_it_has_one_weight_per_task(changed: dict[str, str]) -> None:
    with pytest.raises(
        ValueError,
        match=r"Weighting 'excess_mtl' learns from one gradient per task.*"
        r"Received: by=.*, normalize=.*. Leave both out",
    ):
        ExcessMTL(**changed)


@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_what_is_no_step_size(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"`step_size` must be a positive number. Received"
    ):
        ExcessMTL(step_size=value)
