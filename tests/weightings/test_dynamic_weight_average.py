from collections.abc import Sequence

import numpy as np
import pytest
from keras import ops

from keras_selfaux.weightings import DynamicWeightAverage
from tests.weightings.helpers import CLONED, THREE, TWO, apply, built, weights


def after_epochs(
    *epochs: Sequence[float], graph: object = TWO, **options: object
) -> DynamicWeightAverage:
    """Returns a weighting after epochs of one step each."""
    weighting = built(DynamicWeightAverage(**options), graph)
    for losses in epochs:
        apply(weighting, losses)
        weighting.on_epoch_end()
    return weighting


def test_weights_are_one_in_the_first_two_epochs() -> None:
    weighting = built(DynamicWeightAverage(), TWO)
    for losses in ([4.0, 1.0], [2.0, 1.0]):
        np.testing.assert_array_equal(apply(weighting, losses), 1)
        np.testing.assert_array_equal(apply(weighting, losses), 1)
        weighting.on_epoch_end()


def test_the_third_epoch_worked_by_hand() -> None:
    # Ratios 2/4 and 1/1; exp(0.5 / 2) = 1.284025, exp(1 / 2) = 1.648721;
    # times 2, divided by their sum 2.932747.
    weighting = after_epochs([4.0, 1.0], [2.0, 1.0])
    np.testing.assert_allclose(
        weights(weighting, [9.0, 9.0]), [0.875647, 1.124353], rtol=1e-5
    )


def test_the_fourth_epoch_forgets_the_first() -> None:
    # Ratios 1 and 1/2: the reverse of the third.
    weighting = after_epochs([4.0, 1.0], [2.0, 1.0], [2.0, 0.5])
    np.testing.assert_allclose(
        weights(weighting, [9.0, 9.0]), [1.124353, 0.875647], rtol=1e-5
    )


def test_a_low_temperature_sharpens() -> None:
    # exp(0.5 / 0.5) = 2.718282, exp(1 / 0.5) = 7.389056.
    weighting = after_epochs([4.0, 1.0], [2.0, 1.0], temperature=0.5)
    np.testing.assert_allclose(
        weights(weighting, [9.0, 9.0]), [0.537883, 1.462117], rtol=1e-5
    )


def test_means_count_labels_not_steps() -> None:
    weighting = built(DynamicWeightAverage(), TWO)
    apply(weighting, [1.0, 1.0], counts=[1.0, 3.0])
    apply(weighting, [4.0, 4.0], counts=[3.0, 1.0])
    weighting.on_epoch_end()
    # (1 * 1 + 4 * 3) / 4 and (1 * 3 + 4 * 1) / 4
    np.testing.assert_allclose(weighting.last, [3.25, 1.75], rtol=1e-6)


def test_means_are_of_losses_without_weights() -> None:
    weighting = built(DynamicWeightAverage(), TWO)
    losses = ops.convert_to_tensor([2.0, 3.0])
    tenfold = ops.full((2,), 10.0)
    weighting.observe(losses, ops.ones((2,)), tenfold, tenfold)
    weighting.on_epoch_end()
    np.testing.assert_allclose(weighting.last, [2.0, 3.0])


def test_a_task_without_labels_in_an_epoch_keeps_its_means() -> None:
    weighting = after_epochs([4.0, 1.0], [2.0, 1.0])
    apply(weighting, [7.0, 0.5], counts=[0.0, 4.0])
    weighting.on_epoch_end()
    # Ratios still 2/4, and 0.5/1.
    np.testing.assert_allclose(weights(weighting, [9.0, 9.0]), 1.0, rtol=1e-6)
    np.testing.assert_allclose(weighting.last, [2.0, 0.5])


def test_a_task_that_comes_late_starts_at_one() -> None:
    weighting = built(DynamicWeightAverage())
    for losses in ([4.0, 1.0, 5.0], [2.0, 1.0, 5.0]):
        apply(weighting, losses, counts=[4.0, 4.0, 0.0])
        weighting.on_epoch_end()
    np.testing.assert_allclose(
        weights(weighting, [9, 9, 9]), [0.875647, 1.124353, 1.0], rtol=1e-5
    )


def test_an_epoch_without_steps_changes_nothing() -> None:
    weighting = after_epochs([4.0, 1.0], [2.0, 1.0])
    before = weights(weighting, [9.0, 9.0])
    weighting.on_epoch_end()
    np.testing.assert_array_equal(weights(weighting, [9.0, 9.0]), before)


def test_means_of_zero_count_as_unchanged() -> None:
    weighting = after_epochs([0.0, 1.0], [0.0, 1.0])
    np.testing.assert_allclose(weights(weighting, [9.0, 9.0]), 1.0, rtol=1e-6)


def test_a_loss_that_rises_from_nothing_takes_all() -> None:
    weighting = after_epochs([0.0, 1.0], [1e30, 1.0])
    np.testing.assert_allclose(weights(weighting, [9.0, 9.0]), [2.0, 0.0])


def test_clones_have_their_own_weight_by_edge() -> None:
    weighting = after_epochs(
        [4.0, 1.0, 1.0], [2.0, 1.0, 1.0], graph=CLONED, by="edge"
    )
    found = weights(weighting, [9, 9, 9])
    assert found[0] < found[1] == found[2]
    np.testing.assert_allclose(found.sum(), 3.0, rtol=1e-6)


def test_reports_are_of_the_next_step() -> None:
    weighting = after_epochs([4.0, 1.0, 1.0], [2.0, 1.0, 1.0], graph=THREE)
    assert not weighting.is_momentary
    np.testing.assert_array_equal(
        weighting.current_weights(), weights(weighting, [9, 9, 9])
    )


@pytest.mark.parametrize("value", [0, -1, float("nan"), None, "2"])
def test_temperatures_that_are_not_positive(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`temperature` must be a positive number. Received: "
        r"temperature=.* Pass a positive number",
    ):
        DynamicWeightAverage(temperature=value)
