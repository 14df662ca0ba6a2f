import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import GeometricLoss
from tests.weightings.helpers import CLONED, TWO, built, weights


def test_weights_worked_by_hand() -> None:
    # The geometric mean of 1, 4 and 2 is the third root of 8: 2.
    found = weights(built(GeometricLoss()), [1.0, 4.0, 2.0])
    np.testing.assert_allclose(found, [2.0, 0.5, 1.0], rtol=1e-6)


def test_weights_are_the_gradient_of_the_geometric_mean() -> None:
    losses = tf.constant([0.3, 4.0, 1.7])
    with tf.GradientTape() as tape:
        tape.watch(losses)
        value = 3 * tf.reduce_prod(losses) ** (1 / 3)
    np.testing.assert_allclose(
        weights(built(GeometricLoss()), losses),
        tape.gradient(value, losses),
        rtol=1e-5,
    )


@pytest.mark.parametrize("absent", [np.nan, np.inf])
def test_what_is_absent_is_left_out_of_the_mean(absent: float) -> None:
    found = weights(built(GeometricLoss()), [1.0, absent, 4.0])
    np.testing.assert_allclose(found[[0, 2]], [2.0, 0.5], rtol=1e-6)


def test_what_is_absent_has_no_part_in_its_branch() -> None:
    # A loss of 0 would have the largest weight of all, were it there.
    weighting = built(GeometricLoss(by="edge", normalize="branch"), CLONED)
    found = weights(weighting, [np.nan, 1.0, 1.0])
    np.testing.assert_allclose(found[1:], [0.5, 0.5], rtol=1e-3)
    present = np.array([True, True, False])
    found = weights(weighting, [1.0, 1.0, 0.0], present)
    np.testing.assert_allclose(found[:2], [1.0, 1.0], rtol=1e-3)


def test_one_task_alone_keeps_its_weight() -> None:
    found = weights(
        built(GeometricLoss(), TWO), [7.0, 5.0], np.array([True, False])
    )
    np.testing.assert_allclose(found[0], 1.0, rtol=1e-6)


@pytest.mark.parametrize("loss", [0.0, -1.0, 1e-30])
def test_losses_that_are_not_positive_count_as_tiny(loss: float) -> None:
    # L = sqrt(1e-8 * 1e-4) = 1e-6: 1e-6 / 1e-8 and 1e-6 / 1e-4.
    found = weights(built(GeometricLoss(), TWO), [loss, 1e-4])
    np.testing.assert_allclose(found, [100.0, 0.01], rtol=1e-4)


def test_weights_stop_at_their_bounds() -> None:
    # L = sqrt(1e-8 * 1e10) = 10: 1e9 and 1e-9.
    found = weights(built(GeometricLoss(), TWO), [0.0, 1e10])
    np.testing.assert_allclose(found, [1e4, 1e-4])


def test_clones_count_as_losses_by_edge() -> None:
    weighting = built(GeometricLoss(by="edge"), CLONED)
    found = weights(weighting, [1.0, 4.0, 2.0])
    np.testing.assert_allclose(found, [2.0, 0.5, 1.0], rtol=1e-6)


def test_primaries_alone_decide_by_task() -> None:
    found = weights(built(GeometricLoss(), CLONED), [1.0, 4.0, 50.0])
    np.testing.assert_allclose(found, [2.0, 0.5, 2.0], rtol=1e-6)
