"""Layers of all families are exported and found fine."""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import keras_selfaux
from keras_selfaux import export
from keras_selfaux.export._full_precision import in_float32
from keras_selfaux.layers import BilinearUpsampling


def rows(*shape: int) -> Any:
    return np.random.default_rng(0).normal(3, 2, shape).astype("float32")


def adapted(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


@keras.saving.register_keras_serializable("tests")
class Attention(layers.Layer):
    """Attends to its own input."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(2, 2)

    def build(self, input_shape: Any) -> None:
        self.attention.build(input_shape, input_shape)

    def call(self, inputs: Any) -> Any:
        return self.attention(inputs, inputs)


WORDS = np.array([["a"], ["b"], ["z"]], object)
CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "attention": (Attention, rows(3, 5, 2)),
    "Bidirectional": (
        lambda: layers.Bidirectional(layers.LSTM(3)),
        rows(3, 5, 2),
    ),
    "GRU": (lambda: layers.GRU(3), rows(3, 5, 2)),
    "GroupNormalization": (lambda: layers.GroupNormalization(2), rows(3, 4)),
    "UpSampling2D": (
        lambda: layers.UpSampling2D(interpolation="bilinear"),
        rows(2, 4, 4, 2),
    ),
    "BilinearUpsampling": (lambda: BilinearUpsampling(2), rows(2, 4, 4, 2)),
    "Normalization": (
        lambda: adapted(layers.Normalization(), rows(9, 4)),
        rows(3, 4),
    ),
    "StringLookup": (
        lambda: adapted(layers.StringLookup(output_mode="one_hot"), WORDS[:2]),
        WORDS,
    ),
    "IntegerLookup": (
        lambda: adapted(
            layers.IntegerLookup(output_mode="one_hot"), np.array([3, 5])
        ),
        np.array([[3], [5], [9]]),
    ),
    "Embedding": (lambda: layers.Embedding(4, 2), np.array([[0, 3], [1, 2]])),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_in_an_encoder(name: str, tmp_path: pathlib.Path) -> None:
    make, x = CASES[name]
    kind = "string" if x.dtype == object else x.dtype.name
    inputs = keras.Input(x.shape[1:], dtype=kind)
    features = layers.Flatten()(make()(inputs))
    encoder = keras.Model(
        inputs, {task: layers.Dense(2)(features) for task in ("a", "b")}
    )
    model = keras_selfaux.SelfAuxModel(
        encoder, {task: layers.Dense(2) for task in ("a", "b")}
    )
    model(keras.ops.convert_to_tensor(x))
    path = export.write_servable(model, tmp_path, examples=x)
    report = export.verify_servable(path, model)
    assert report.model < 1e-5
    assert report.warmup_requests == 4


@keras.saving.register_keras_serializable("tests")
class Opaque(layers.Layer):
    """Computes the features of both tasks in one call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shared = layers.Dense(3)

    def build(self, input_shape: Any) -> None:
        self.shared.build(input_shape)

    def call(self, inputs: Any) -> Any:
        features = self.shared(inputs)
        return {"a": features, "b": keras.ops.relu(features) * 2}


def test_an_encoder_that_is_one_layer(tmp_path: pathlib.Path) -> None:
    model = keras_selfaux.SelfAuxModel(
        Opaque(), {task: layers.Dense(2) for task in ("a", "b")}
    )
    x = rows(3, 4)
    model(x)
    path = export.write_servable(model, tmp_path, examples=x)
    assert export.verify_servable(path, model).model < 1e-5


def test_images_of_any_size(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((None, None, 3))
    features = layers.Conv2D(2, 3, strides=2, padding="same")(inputs)
    model = keras.Model(inputs, {"seg": BilinearUpsampling(2)(features)})
    x = rows(2, 6, 8, 3)
    path = export.write_servable(model, tmp_path, examples=x)
    assert export.verify_servable(path, model).model < 1e-5


def test_what_was_adapted_is_in_full_precision_too() -> None:
    inputs = keras.Input((4,))
    x = adapted(layers.Normalization(dtype="mixed_float16"), rows(9, 4))(inputs)
    model = keras.Model(inputs, {"a": layers.Dense(2, dtype="float32")(x)})
    found, wanted = in_float32(model)(rows(3, 4)), model(rows(3, 4))
    assert np.allclose(found["a"], wanted["a"], atol=0.02)
