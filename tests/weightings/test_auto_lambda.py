import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import AutoLambda
from tests.properties import GRAPH

RATE = 1e-2
GRADIENT = np.array([3.0, -0.5, 0.0, 50.0, -2.0, 1.0], "float32")


def built(**options: object) -> AutoLambda:
    weighting = AutoLambda(**options)
    weighting.build(GRAPH)
    return weighting


def weights(weighting: AutoLambda) -> np.ndarray:
    return np.array(weighting(np.zeros(6, "float32")))


def test_weights_start_where_the_paper_starts_them() -> None:
    np.testing.assert_allclose(weights(built()), np.full(6, 0.1))
    assert built().learning_rate == 1e-4


def test_weights_start_where_told() -> None:
    found = weights(built(initial_weight=0.7))
    np.testing.assert_allclose(found, np.full(6, 0.7))


def test_losses_do_not_matter_to_the_weights() -> None:
    weighting = built()
    np.testing.assert_array_equal(
        weighting(np.zeros(6)), weighting(np.arange(6.0))
    )


def test_first_step_moves_by_the_learning_rate_against_the_sign() -> None:
    # So Adam starts, however long the gradient is.
    weighting = built(learning_rate=RATE)
    weighting.update(keras.ops.convert_to_tensor(GRADIENT))
    np.testing.assert_allclose(
        weights(weighting), 0.1 - RATE * np.sign(GRADIENT), rtol=1e-4
    )


def test_first_step_is_as_long_for_a_tiny_gradient() -> None:
    # The derivative holds the network's learning rate as a factor. With the
    # epsilon of 1e-7 that is Keras's default, Adam would hardly move: before
    # its bias is corrected, the root of the second moment is |g| / 32.
    weighting = built(learning_rate=RATE)
    weighting.update(keras.ops.full((6,), 1e-6))
    np.testing.assert_allclose(0.1 - weights(weighting), RATE, rtol=0.1)


def test_two_steps_are_those_of_adam() -> None:
    weighting = built(learning_rate=RATE)
    wanted = np.full(6, 0.1)
    mean, square = np.zeros(6), np.zeros(6)
    for step, gradient in enumerate([GRADIENT, GRADIENT[::-1]], start=1):
        weighting.update(keras.ops.convert_to_tensor(gradient.copy()))
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        wanted -= (
            RATE
            * (mean / (1 - 0.9**step))
            / (np.sqrt(square / (1 - 0.999**step)) + 1e-7)
        )
    np.testing.assert_allclose(weights(weighting), wanted, rtol=1e-4)


def test_weights_stop_at_zero_and_come_back() -> None:
    weighting = built(learning_rate=0.08)
    up = keras.ops.ones((6,))
    for _ in range(3):
        weighting.update(up)
        assert np.all(weights(weighting) >= 0.0)
    np.testing.assert_array_equal(weights(weighting), np.zeros(6))
    for _ in range(30):
        weighting.update(-up)
    assert np.all(weights(weighting) > 0.0)


def test_normalised_weights_descend_through_the_normalisation() -> None:
    weighting = built(learning_rate=RATE, normalize="branch")
    weighting.update(keras.ops.convert_to_tensor(GRADIENT))
    # Branch a: 3 and 1 (b on a), branch b: -0.5, 50 and -2; c stands alone.
    # Less the mean of its branch, as all weights are equal:
    signs = np.sign([1.0, -16.3, 0.0, 34.2, -17.8, -1.0])
    np.testing.assert_allclose(
        weighting.raw, 0.1 - RATE * signs, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(weights(weighting)[2], 1.0)


def test_weights_stay_float32_under_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    weighting = built(learning_rate=RATE)
    weighting.update(keras.ops.full((6,), 1e5))  # beyond float16
    assert weighting.raw.dtype == "float32"
    np.testing.assert_allclose(weights(weighting), 0.1 - RATE, rtol=1e-4)


def test_the_step_can_be_compiled() -> None:
    eager, weighting = built(), built()
    compiled = tf.function(weighting.update, jit_compile=True)
    for _ in range(2):
        eager.update(tf.constant(GRADIENT))
        compiled(tf.constant(GRADIENT))
    np.testing.assert_allclose(weights(weighting), weights(eager), rtol=1e-6)


def test_it_needs_meta_data() -> None:
    assert AutoLambda.needs_meta_data
    assert AutoLambda(update_every=3).update_every == 3


@pytest.mark.parametrize("name", ["learning_rate", "initial_weight"])
@pytest.mark.parametrize("value", [0, -0.1, float("nan"), None, "0.1"])
def test_arguments_that_are_not_positive(name: str, value: object) -> None:
    with pytest.raises(
        ValueError,
        match=rf"`{name}` must be a positive number. Received: {name}=",
    ):
        AutoLambda(**{name: value})


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None])
def test_updates_every_so_many_steps(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`update_every` must be an integer of at least 1. Received: "
        r"update_every=.* Pass a whole number",
    ):
        AutoLambda(update_every=value)


def test_unknown_normalisation() -> None:
    with pytest.raises(ValueError, match="`normalize` must be one of"):
        AutoLambda(normalize="mean")
