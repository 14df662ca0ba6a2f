import numpy as np
import pytest

from keras_selfaux.weightings import GradNorm
from tests.properties import assert_finite
from tests.weightings.helpers import TWO, Adam, apply, built, rows, weights

ONES = np.ones(3, "float32")
LENGTHS = np.array([1.0, 2.0, 6.0])


def learn(weighting: GradNorm, losses: object, lengths: object) -> np.ndarray:
    """Takes a step with unweighted gradients of some lengths."""
    before = weights(weighting, losses)
    return apply(weighting, losses, rows=rows(*np.diag(before * lengths)))


def test_a_step_worked_by_hand() -> None:
    # All losses are the first, so that the target is the mean length, 3:
    # the first two weights rise and the last falls, by Adam's learning
    # rate: 1.025, 1.025 and 0.975. They are scaled to sum to 3, by 3 / 3.025.
    weighting = built(GradNorm())
    np.testing.assert_array_equal(learn(weighting, ONES, LENGTHS), ONES)
    np.testing.assert_allclose(
        weights(weighting, ONES), [1.016529, 1.016529, 0.966942], rtol=1e-5
    )


def test_three_steps_are_those_of_the_paper() -> None:
    weighting = built(GradNorm(alpha=0.5, learning_rate=0.1))
    adam, wanted = Adam(0.1), np.ones(3)
    losses = np.array([[2.0, 3.0, 4.0], [1.0, 2.9, 4.1], [0.5, 2.0, 4.0]])
    for each in losses:
        learn(weighting, each.astype("float32"), LENGTHS)
        norms = wanted * LENGTHS
        rates = each / losses[0]
        targets = norms.mean() * (rates / rates.mean()) ** 0.5
        wanted = wanted + adam.step(np.sign(norms - targets) * LENGTHS)
        wanted = wanted * 3 / wanted.sum()
    np.testing.assert_allclose(weights(weighting, ONES), wanted, rtol=1e-5)


def test_the_slower_task_gains_weight() -> None:
    weighting = built(GradNorm(), TWO)
    learn(weighting, np.float32([1.0, 1.0]), [1.0, 1.0])
    np.testing.assert_allclose(weights(weighting, [1.0, 1.0]), 1.0, rtol=1e-6)
    learn(weighting, np.float32([0.9, 0.3]), [1.0, 1.0])
    found = weights(weighting, [1.0, 1.0])
    assert found[0] > 1 > found[1]


def test_alpha_of_zero_balances_lengths_alone() -> None:
    weighting = built(GradNorm(alpha=0.0, learning_rate=0.05), TWO)
    for loss in np.linspace(1.0, 0.01, 20, dtype="float32"):
        learn(weighting, np.float32([1.0, loss]), [1.0, 3.0])
    found = weights(weighting, [1.0, 1.0])
    np.testing.assert_allclose(found, [1.5, 0.5], atol=0.1)


def test_a_task_that_comes_late_starts_with_its_own_first_loss() -> None:
    weighting = built(GradNorm(), TWO)
    first = np.float32([2.0, np.nan])
    apply(weighting, first, rows=rows([1.0, 0.0], [0.0, 0.0]))
    np.testing.assert_array_equal(weighting.initial, [2.0, 0.0])
    learn(weighting, np.float32([1.0, 5.0]), [1.0, 1.0])
    np.testing.assert_array_equal(weighting.initial, [2.0, 5.0])
    # Half of it is left of the first, all of the second.
    assert weights(weighting, [1.0, 1.0])[1] > 1


def test_a_gradient_that_is_not_finite_leaves_the_others_as_if_alone() -> None:
    weighting, alone = built(GradNorm()), built(GradNorm(), TWO)
    apply(weighting, ONES, rows=rows([1, 0, 0], [0, 2, 0], [0, 0, np.nan]))
    apply(alone, ONES[:2], rows=rows([1, 0], [0, 2]))
    np.testing.assert_allclose(weighting.raw[:2], alone.raw, rtol=1e-6)
    assert weighting.raw[2] == 1
    assert_finite(weighting)


@pytest.mark.parametrize("size", [1e-6, 1e12])
def test_the_size_of_all_gradients_does_not_matter(size: float) -> None:
    weighting, other = built(GradNorm()), built(GradNorm())
    learn(weighting, ONES, LENGTHS)
    learn(other, ONES, LENGTHS * size)
    np.testing.assert_allclose(other.raw, weighting.raw, rtol=1e-3)


@pytest.mark.parametrize("size", [1e-36, 1e-20, 1e20, 1e36])
def test_tiny_and_huge_gradients_leave_the_state_finite(size: float) -> None:
    weighting = built(GradNorm())
    for losses in (ONES, 0.5 * ONES):
        learn(weighting, losses, [size, 1.0, size])
        learn(weighting, losses, LENGTHS * size)
    assert_finite(weighting)


def test_zero_gradients_leave_weights_alone() -> None:
    weighting = built(GradNorm())
    learn(weighting, ONES, np.zeros(3))
    np.testing.assert_allclose(weights(weighting, ONES), ONES)
    assert_finite(weighting)


def test_weights_do_not_fall_to_zero() -> None:
    weighting = built(GradNorm(learning_rate=0.6), TWO)
    for _ in range(4):
        apply(weighting, ONES[:2], rows=rows([1.0, 0.0], [0.0, 1e6]))
    found = weights(weighting, [1.0, 1.0])
    assert found[1] >= 1e-3
    np.testing.assert_allclose(found.sum(), 2.0, rtol=1e-3)


def test_it_asks_for_rows() -> None:
    assert GradNorm.needs_rows


@pytest.mark.parametrize(
    "changed", [{"by": "edge"}, {"normalize": "branch"}], ids=str
)
def test_it_has_one_weight_per_task(changed: dict[str, str]) -> None:
    with pytest.raises(
        ValueError,
        match=r"Weighting 'grad_norm' learns from one gradient per task.*"
        r"Received: by=.*, normalize=.*. Leave both out",
    ):
        GradNorm(**changed)


@pytest.mark.parametrize("value", [-1, float("nan"), None])
def test_what_is_no_alpha(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"`alpha` must be zero or a positive number. Received"
    ):
        GradNorm(alpha=value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_what_is_no_learning_rate(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"`learning_rate` must be a positive number. Received"
    ):
        GradNorm(learning_rate=value)
