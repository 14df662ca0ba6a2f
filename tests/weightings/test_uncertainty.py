import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import Uncertainty
from tests.properties import assert_finite, step
from tests.weightings.helpers import CLONED, TWO, apply, built, weights


def test_weights_start_at_one() -> None:
    assert Uncertainty().learning_rate == 1e-3
    np.testing.assert_array_equal(weights(built(Uncertainty()), [2, 0.5, 9]), 1)


def test_two_steps_worked_by_hand() -> None:
    # With s = -log(2 ω), ds = -d(log ω); the derivative of exp(-s) l / 2 +
    # s / 2 by log ω is ω l - 1/2. For l = 2: 1.5, and Adam's first step is
    # its learning rate: log ω = -0.1, ω = 0.904837. Then 1.309675, and
    #   mean   = (0.9 * 0.1 * 1.5 + 0.1 * 1.309675) / 0.19 = 1.399829
    #   square = (0.999 * 0.001 * 2.25 + 0.001 * 1.715249) / 0.001999
    #          = 1.982491
    #   log ω  = -0.1 - 0.1 * 1.399829 / sqrt(1.982491) = -0.199419
    # For l = 0.5, what is descended is at its minimum: ω stays at 1.
    weighting = built(Uncertainty(learning_rate=0.1), TWO)
    found = [apply(weighting, [2.0, 0.5]) for _ in range(3)]
    wanted = [[1.0, 1.0], [0.904837, 1.0], [np.exp(-0.199419), 1.0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_at_the_optimum_variances_are_the_losses() -> None:
    weighting = built(Uncertainty(learning_rate=0.05))
    losses = tf.constant([4.0, 0.25, 1.0])
    learn = tf.function(lambda: step(weighting, losses), autograph=False)
    for _ in range(400):
        learn()
    # ω = exp(-s) / 2
    variances = 1 / (2 * weights(weighting, losses))
    np.testing.assert_allclose(variances, losses, rtol=1e-3)


def test_weights_stop_at_their_bounds_and_come_back_at_once() -> None:
    weighting = built(Uncertainty(learning_rate=3.0), TWO)
    for _ in range(6):
        apply(weighting, [0.0, 1e9])
    np.testing.assert_allclose(weights(weighting, [0, 0]), [1e4, 1e-4], 1e-5)
    assert np.abs(weighting.log_weights).max() <= np.log(1e4) * (1 + 1e-6)


def test_a_huge_loss_leaves_the_state_finite() -> None:
    weighting = built(Uncertainty(), TWO)
    weighting.log_weights.assign([9.0, 9.0])
    apply(weighting, [3e38, 1.0])
    assert_finite(weighting)


def test_clones_have_the_weight_of_their_source_by_task() -> None:
    weighting = built(Uncertainty(learning_rate=0.1), CLONED)
    apply(weighting, [2.0, 0.1, 50.0])
    found = weights(weighting, [1, 1, 1])
    assert found[0] == found[2] < 1 < found[1]


def test_clones_have_their_own_weight_by_edge() -> None:
    weighting = built(Uncertainty(learning_rate=0.1, by="edge"), CLONED)
    apply(weighting, [2.0, 0.1, 0.1])
    found = weights(weighting, [1, 1, 1])
    assert found[0] < 1 < found[1] == found[2]


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), None, "0.1"])
def test_learning_rates_that_are_not_positive(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`learning_rate` must be a positive number. Received: "
        r"learning_rate=.* Pass a positive number",
    ):
        Uncertainty(learning_rate=value)


def test_absent_losses_leave_the_optimizer_as_it_was() -> None:
    weighting = built(Uncertainty(learning_rate=0.1), TWO)
    apply(weighting, [2.0, 2.0])
    before = [np.array(v) for v in weighting.optimizer.variables]
    apply(weighting, [2.0, 2.0], counts=[4.0, 0.0])
    for old, variable in zip(
        before, weighting.optimizer.variables, strict=True
    ):
        if old.shape == (2,):
            new = np.array(variable)
            assert new[0] != old[0]
            assert new[1] == old[1]
