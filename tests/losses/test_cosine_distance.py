"""`CosineDistance` against NumPy, and at the ends of its range."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.losses import CosineDistance


def vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_values_are_those_of_numpy() -> None:
    y_true, y_pred = vectors(2, 4, 5, 3), 7 * vectors(2, 4, 5, 3, seed=1)
    lengths = np.linalg.norm(y_true, axis=-1) * np.linalg.norm(y_pred, axis=-1)
    wanted = 1 - np.sum(y_true * y_pred, axis=-1) / lengths
    values = CosineDistance(reduction="none")(y_true, y_pred)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    mean = CosineDistance()(y_true, y_pred)
    np.testing.assert_allclose(mean, wanted.mean(), rtol=1e-5)


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e4])
def test_lengths_do_not_matter(length: float) -> None:
    y = vectors(6, 3)
    loss = CosineDistance(reduction="none")
    np.testing.assert_allclose(loss(y, length * y), np.zeros(6), atol=1e-6)
    np.testing.assert_allclose(loss(y, -length * y), np.full(6, 2), atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_predictions_of_length_zero(jit: bool) -> None:
    y_true = np.array([[0.0, 0.0, 1.0]], "float32")
    y_pred = tf.zeros((1, 3))

    @tf.function(jit_compile=jit)
    def both(y_pred: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = CosineDistance()(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    value, gradient = both(y_pred)
    assert float(value) == 1.0
    # Towards the label, and not without bounds.
    np.testing.assert_allclose(gradient, [[0.0, 0.0, -1e4]], rtol=1e-5)


def test_half_precision_is_left_before_squaring() -> None:
    y_pred = np.array([[1000.0, 0.0, 0.0], [1e-3, 0.0, 0.0]], "float16")
    y_true = np.array([[1.0, 0.0, 0.0]] * 2, "float16")
    values = CosineDistance(reduction="none").call(y_true, y_pred)
    assert values.dtype == "float32"
    np.testing.assert_allclose(values, np.zeros(2), atol=1e-6)


def test_config_makes_the_same_loss() -> None:
    loss = CosineDistance(reduction="sum", name="normals")
    config = keras.losses.serialize(loss)
    assert config["registered_name"] == "keras_selfaux>CosineDistance"
    again = keras.losses.deserialize(config)
    assert isinstance(again, CosineDistance)
    assert (again.reduction, again.name) == ("sum", "normals")
    assert CosineDistance().name == "cosine_distance"
