import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import ImpartialLoss
from tests.properties import step
from tests.weightings.helpers import TWO, apply, built, weights


def test_weights_start_at_one() -> None:
    assert ImpartialLoss().learning_rate == 1e-3
    found = weights(built(ImpartialLoss()), [2, 0.5, 9])
    np.testing.assert_array_equal(found, 1)


def test_two_steps_worked_by_hand() -> None:
    # The derivative of exp(s) l - s by s is ω l - 1. For l = 2: 1, and
    # Adam's first step is its learning rate: s = -0.1, ω = 0.904837. Then
    # 0.809675, and
    #   mean   = (0.9 * 0.1 * 1 + 0.1 * 0.809675) / 0.19 = 0.899829
    #   square = (0.999 * 0.001 * 1 + 0.001 * 0.655573) / 0.001999
    #          = 0.827700
    #   s      = -0.1 - 0.1 * 0.899829 / sqrt(0.827700) = -0.198906
    # For l = 1, what is descended is at its minimum: ω stays at 1.
    weighting = built(ImpartialLoss(learning_rate=0.1), TWO)
    found = [apply(weighting, [2.0, 1.0]) for _ in range(3)]
    wanted = [[1.0, 1.0], [0.904837, 1.0], [np.exp(-0.198906), 1.0]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_at_the_optimum_all_weighted_losses_are_one() -> None:
    weighting = built(ImpartialLoss(learning_rate=0.05))
    losses = tf.constant([4.0, 0.25, 1.0])
    learn = tf.function(lambda: step(weighting, losses), autograph=False)
    for _ in range(400):
        learn()
    found = weights(weighting, losses)
    np.testing.assert_allclose(found * losses, np.ones(3), rtol=1e-3)


def test_weights_stop_at_their_bounds() -> None:
    weighting = built(ImpartialLoss(learning_rate=3.0), TWO)
    for _ in range(6):
        apply(weighting, [0.0, 1e9])
    np.testing.assert_allclose(weights(weighting, [0, 0]), [1e4, 1e-4], 1e-5)


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), None, "0.1"])
def test_learning_rates_that_are_not_positive(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`learning_rate` must be a positive number. Received: "
        r"learning_rate=.* Pass a positive number",
    ):
        ImpartialLoss(learning_rate=value)
