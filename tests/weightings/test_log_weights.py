"""What `ImpartialLoss` and `Uncertainty` have in common."""

import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import ImpartialLoss, Uncertainty, Weighting
from tests.properties import assert_finite, step
from tests.weightings.helpers import CLONED, TWO, apply, built, weights

BOTH = pytest.mark.parametrize("cls", [ImpartialLoss, Uncertainty])


@BOTH
def test_weights_start_at_one(cls: type[Weighting]) -> None:
    assert cls().learning_rate == 1e-3
    np.testing.assert_array_equal(weights(built(cls()), [2, 0.5, 9]), 1)


@pytest.mark.parametrize(
    ("cls", "product"),
    # ω = exp(-s) / 2 where the variance exp(s) is the loss, and ω = 1 / l.
    [(Uncertainty, 0.5), (ImpartialLoss, 1.0)],
)
def test_at_the_optimum_all_weighted_losses_are_equal(
    cls: type[Weighting], product: float
) -> None:
    weighting = built(cls(learning_rate=0.05))
    losses = tf.constant([4.0, 0.25, 1.0])
    learn = tf.function(lambda: step(weighting, losses), autograph=False)
    for _ in range(400):
        learn()
    found = weights(weighting, losses) * losses
    np.testing.assert_allclose(found, np.full(3, product), rtol=1e-3)


@BOTH
def test_weights_stop_at_their_bounds_and_come_back_at_once(
    cls: type[Weighting],
) -> None:
    weighting = built(cls(learning_rate=3.0), TWO)
    for _ in range(6):
        apply(weighting, [0.0, 1e9])
    np.testing.assert_allclose(weights(weighting, [0, 0]), [1e4, 1e-4], 1e-5)
    assert np.abs(weighting.log_weights).max() <= np.log(1e4) * (1 + 1e-6)


@BOTH
def test_a_huge_loss_leaves_the_state_finite(cls: type[Weighting]) -> None:
    weighting = built(cls(), TWO)
    weighting.log_weights.assign([9.0, 9.0])
    apply(weighting, [3e38, 1.0])
    assert_finite(weighting)


@BOTH
def test_clones_have_the_weight_of_their_source_by_task(
    cls: type[Weighting],
) -> None:
    weighting = built(cls(learning_rate=0.1), CLONED)
    apply(weighting, [2.0, 0.1, 50.0])
    found = weights(weighting, [1, 1, 1])
    assert found[0] == found[2] < 1 < found[1]


@BOTH
def test_clones_have_their_own_weight_by_edge(cls: type[Weighting]) -> None:
    weighting = built(cls(learning_rate=0.1, by="edge"), CLONED)
    apply(weighting, [2.0, 0.1, 0.1])
    found = weights(weighting, [1, 1, 1])
    assert found[0] < 1 < found[1] == found[2]


@BOTH
def test_absent_losses_leave_the_optimizer_as_it_was(
    cls: type[Weighting],
) -> None:
    weighting = built(cls(learning_rate=0.1), TWO)
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


@BOTH
@pytest.mark.parametrize("value", [0, -0.1, float("nan"), None, "0.1"])
def test_learning_rates_that_are_not_positive(
    cls: type[Weighting], value: object
) -> None:
    with pytest.raises(
        ValueError,
        match=r"`learning_rate` must be a positive number. Received: "
        r"learning_rate=.* Pass a positive number",
    ):
        cls(learning_rate=value)
