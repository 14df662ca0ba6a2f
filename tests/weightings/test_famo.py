import numpy as np
import pytest

from keras_selfaux.weightings import FAMO
from tests.weightings.helpers import CLONED, TWO, Adam, apply, built, weights

LOSSES = np.array([1.0, 2.0, 4.0], "float32")


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum()


def test_first_weights_worked_by_hand() -> None:
    # 1 / l is 1, 0.5 and 0.25; times 3, divided by their sum 1.75.
    np.testing.assert_allclose(
        weights(built(FAMO()), LOSSES), [12 / 7, 6 / 7, 3 / 7], rtol=1e-6
    )


def test_weighted_losses_are_equal_at_first() -> None:
    products = weights(built(FAMO()), LOSSES) * LOSSES
    np.testing.assert_allclose(products, products[0], rtol=1e-6)


def test_minimum_losses_are_taken_off() -> None:
    # l - b is 1, 1 and 4.
    weighting = built(FAMO(minimum_losses={"b": 1.0}))
    found = weights(weighting, LOSSES)
    np.testing.assert_allclose(found, [4 / 3, 4 / 3, 1 / 3], rtol=1e-6)


def test_a_step_worked_by_hand() -> None:
    # The logarithms fall by 0, 0.287682 and 1.386294, by 0.557992 in the
    # mean: the gradient is a third of -0.557992, -0.270310 and 0.828302.
    # Adam's first step is as long as its learning rate.
    weighting = built(FAMO())
    apply(weighting, LOSSES, later_losses=np.array([1.0, 1.5, 1.0], "float32"))
    np.testing.assert_allclose(
        weighting.logits, [0.025, 0.025, -0.025], rtol=1e-5
    )


def test_three_steps_are_those_of_the_paper() -> None:
    weighting = built(FAMO(weight_decay=0.1))
    adam, logits = Adam(0.025), np.zeros(3)
    later = np.array([[1.0, 1.5, 1.0], [0.5, 1.9, 3.0], [0.9, 1.9, 3.9]])
    for each in later:
        apply(weighting, LOSSES, later_losses=each.astype("float32"))
        improvement = np.log(LOSSES) - np.log(each)
        z = softmax(logits)
        jacobian = np.diag(z) - np.outer(z, z)
        logits = logits + adam.step(jacobian @ improvement + 0.1 * logits)
    np.testing.assert_allclose(weighting.logits, logits, rtol=1e-4)


def test_the_task_that_improved_least_gains_weight() -> None:
    weighting = built(FAMO(), TWO)
    before = apply(weighting, [1.0, 1.0], later_losses=np.float32([0.9, 0.5]))
    after = weights(weighting, [1.0, 1.0])
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_weight_decay_pulls_logits_to_zero() -> None:
    weighting = built(FAMO(weight_decay=0.1), TWO)
    weighting.logits.assign([1.0, -1.0])
    apply(weighting, [1.0, 1.0], later_losses=np.float32([1.0, 1.0]))
    np.testing.assert_allclose(weighting.logits, [0.975, -0.975], rtol=1e-5)


def test_without_change_nothing_is_learned() -> None:
    weighting = built(FAMO(weight_decay=0.0), TWO)
    apply(weighting, [1.0, 3.0], later_losses=np.float32([1.0, 3.0]))
    np.testing.assert_array_equal(weighting.logits, np.zeros(2))


@pytest.mark.parametrize("later", [np.nan, np.inf])
def test_a_later_loss_that_is_not_finite_teaches_nothing(later: float) -> None:
    weighting, alone = built(FAMO()), built(FAMO(), TWO)
    apply(weighting, LOSSES, later_losses=np.float32([0.5, 1.9, later]))
    apply(alone, LOSSES[:2], later_losses=np.float32([0.5, 1.9]))
    np.testing.assert_allclose(weighting.logits[:2], alone.logits, rtol=1e-5)
    assert weighting.logits[2] == 0


def test_losses_below_their_minimum_count_as_close_to_it() -> None:
    weighting = built(FAMO(minimum_losses=0.5), TWO)
    # 1e-8 and 1: almost all of the weight.
    found = weights(weighting, [0.4, 1.5])
    np.testing.assert_allclose(found, [2.0, 2e-8], rtol=1e-5)


def test_clones_learn_for_themselves_by_edge() -> None:
    weighting = built(FAMO(by="edge", minimum_losses={"a": -1.0}), CLONED)
    # l - b is 2, 2 and 4.
    found = apply(
        weighting, [1.0, 2.0, 3.0], later_losses=np.float32([0.2, 1.9, 2.9])
    )
    np.testing.assert_allclose(found, [1.2, 1.2, 0.6], rtol=1e-6)
    assert weighting.logits[0] < 0 < weighting.logits[2]


def test_it_asks_for_the_losses_after_the_step() -> None:
    assert FAMO.needs_later_losses


@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_what_is_no_learning_rate(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"`learning_rate` must be a positive number. Received"
    ):
        FAMO(learning_rate=value)


@pytest.mark.parametrize("value", [-1, float("nan"), None])
def test_what_is_no_weight_decay(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`weight_decay` must be zero or a positive number. Received",
    ):
        FAMO(weight_decay=value)


@pytest.mark.parametrize("value", [None, "0", float("-inf"), {"a": "0"}])
def test_what_is_no_minimum(value: object) -> None:
    with pytest.raises(
        ValueError, match="`minimum_losses` must be a finite number, or one"
    ):
        FAMO(minimum_losses=value)


def test_tasks_that_do_not_exist() -> None:
    with pytest.raises(
        ValueError,
        match=r"`minimum_losses` names tasks that the model does not have. "
        r"Received: \['d'\]. Use names from \['a', 'b', 'c'\]",
    ):
        built(FAMO(minimum_losses={"d": 1.0}))
