import json

import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import weightings
from keras_selfaux.weightings import SmoothTchebycheff
from tests.weightings.helpers import CLONED, TWO, built, weights

LOG2 = np.log(2.0)


def test_weights_worked_by_hand() -> None:
    # exp of the losses: 1, 2 and 3; times 3, divided by their sum 6.
    found = weights(built(SmoothTchebycheff()), [0.0, LOG2, np.log(3.0)])
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5], rtol=1e-6)


def test_preferences_worked_by_hand() -> None:
    # p exp(p l): 2 * 4, 2 and 1; times 3, divided by their sum 11.
    weighting = built(SmoothTchebycheff(preferences={"a": 2.0}))
    found = weights(weighting, [LOG2, LOG2, 0.0])
    np.testing.assert_allclose(found, [24 / 11, 6 / 11, 3 / 11], rtol=1e-6)


def test_ideals_worked_by_hand() -> None:
    # Above their ideals: 0, log 2 and log 3.
    weighting = built(SmoothTchebycheff(ideal={"a": 5.0, "b": -1.0}))
    found = weights(weighting, [5.0, LOG2 - 1, np.log(3.0)])
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5], rtol=1e-6)


def test_one_ideal_for_all_changes_nothing() -> None:
    found = weights(built(SmoothTchebycheff(ideal=0.7)), [0.1, 2.0, 0.4])
    wanted = weights(built(SmoothTchebycheff()), [0.1, 2.0, 0.4])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_weights_are_the_gradient_of_the_smooth_maximum() -> None:
    losses, mu = tf.constant([0.3, 1.0, 0.7]), 0.4
    factors, ideals = np.array([2.0, 1.0, 0.5]), np.array([0.1, 0.2, 0.0])
    with tf.GradientTape() as tape:
        tape.watch(losses)
        value = mu * tf.reduce_logsumexp(factors * (losses - ideals) / mu)
    gradient = tape.gradient(value, losses).numpy()
    weighting = SmoothTchebycheff(
        mu=mu,
        ideal={"a": 0.1, "b": 0.2},
        preferences={"a": 2.0, "c": 0.5},
    )
    np.testing.assert_allclose(
        weights(built(weighting), losses),
        3 * gradient / gradient.sum(),
        rtol=1e-5,
    )


def test_a_small_mu_minimises_the_worst_loss_alone() -> None:
    found = weights(built(SmoothTchebycheff(mu=0.01)), [0.5, 0.9, 0.7])
    np.testing.assert_allclose(found, [0.0, 3.0, 0.0], atol=1e-6)


def test_a_large_mu_minimises_the_sum() -> None:
    found = weights(built(SmoothTchebycheff(mu=1e6)), [0.5, 0.9, 0.7])
    np.testing.assert_allclose(found, np.ones(3), rtol=1e-5)


def test_losses_beyond_the_range_of_exp() -> None:
    weighting = built(SmoothTchebycheff(mu=1e-3))
    np.testing.assert_allclose(
        weights(weighting, [1e38, 1.0, 0.0]), [3.0, 0.0, 0.0]
    )
    np.testing.assert_allclose(
        weights(weighting, [3e38, 3e38, 0.0]), [1.5, 1.5, 0.0]
    )


def test_what_is_absent_has_no_part() -> None:
    found = weights(built(SmoothTchebycheff()), [0.0, np.nan, np.log(3.0)])
    np.testing.assert_allclose(found, [0.5, 0.0, 1.5], rtol=1e-6)


def test_clones_have_the_preference_of_their_source_by_edge() -> None:
    weighting = built(
        SmoothTchebycheff(preferences={"a": 2.0}, by="edge"), CLONED
    )
    # p exp(p l) for a, b and a on b: 2 * 4, 2 and 2; their sum is 12.
    found = weights(weighting, [LOG2, LOG2, 0.0])
    np.testing.assert_allclose(found, [2.0, 0.5, 0.5], rtol=1e-6)


def test_config_goes_through_json() -> None:
    weighting = SmoothTchebycheff(
        mu=0.5, ideal={"a": 0.1}, preferences={"b": 2}, by="edge"
    )
    config = json.loads(json.dumps(weightings.serialize(weighting)))
    restored = weightings.deserialize(config)
    assert restored.get_config() == weighting.get_config()
    np.testing.assert_array_equal(
        weights(built(restored, TWO), [0.3, 0.4]),
        weights(built(weighting, TWO), [0.3, 0.4]),
    )


@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_what_is_no_mu(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"`mu` must be a positive number. Received: mu="
    ):
        SmoothTchebycheff(mu=value)


@pytest.mark.parametrize(
    "value", [None, "0", float("inf"), True, {"a": None}, {"a": float("nan")}]
)
def test_what_is_no_ideal(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`ideal` must be a finite number, or one for each task. "
        r"Received: ideal=.* Pass a number or {task: number}",
    ):
        SmoothTchebycheff(ideal=value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_what_is_no_preference(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`preferences\['a'\]` must be a positive number. Received",
    ):
        SmoothTchebycheff(preferences={"a": value})


@pytest.mark.parametrize("value", [1.0, "a", ["a"]])
def test_preferences_without_tasks(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`preferences` must be a dict of numbers by task. Received: "
        r"preferences=.* Pass {task: preference}, or leave it out",
    ):
        SmoothTchebycheff(preferences=value)


@pytest.mark.parametrize("argument", ["ideal", "preferences"])
def test_tasks_that_do_not_exist(argument: str) -> None:
    weighting = SmoothTchebycheff(**{argument: {"a": 1.0, "d": 1.0}})
    with pytest.raises(
        ValueError,
        match=rf"`{argument}` names tasks that the model does not have. "
        r"Received: \['d'\]. Use names from \['a', 'b', 'c'\]",
    ):
        built(weighting)
