"""Comparing a file's answers with its model's, and full precision."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux.export._agreement import check_agreement
from keras_selfaux.export._full_precision import in_float32, lowest_precision
from keras_selfaux.export._inputs import batches_of, input_specs
from tests.export.networks import fill, in_policy, predictions


def identity() -> keras.Model:
    """Answers with its input, and with a hundredth of it."""
    inputs = keras.Input((1,), name="x")
    return keras.Model(inputs, {"large": inputs * 1.0, "small": inputs * 0.01})


def differences(
    change: Callable[[Any], Any], tolerance: float = 10.0, **options: Any
) -> dict[str, float]:
    """Compares on -2, 0 and 6, in two batches."""
    model = identity()
    specs = input_specs(model)
    batches = [
        *batches_of(np.array([[-2.0], [0.0]]), specs),
        *batches_of(np.array([[6.0]]), specs),
    ]
    return check_agreement(
        model,
        specs,
        batches,
        lambda batch: {
            "small": batch["x"] * 0.01,
            "large": change(batch["x"]),
        },
        tolerance=tolerance,
        **options,
    )


def test_differences_relative_to_the_largest_answer() -> None:
    found = differences(lambda x: x + 0.03 * (x == 0))
    assert found == pytest.approx({"large": 0.03 / 6, "small": 0.0}, abs=1e-7)


def test_differences_relative_to_the_range() -> None:
    found = differences(lambda x: x + 0.03 * (x == 0), of_range=True)
    assert found == pytest.approx({"large": 0.03 / 8, "small": 0.0}, abs=1e-7)


def test_answers_that_are_all_alike_are_compared_as_they_are() -> None:
    model = identity()
    specs = input_specs(model)
    found = check_agreement(
        model,
        specs,
        batches_of(np.zeros((3, 1)), specs),
        lambda batch: {"large": batch["x"] + 0.5, "small": batch["x"]},
        tolerance=1.0,
        of_range=True,
    )
    assert found == {"large": 0.5, "small": 0.0}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x + 0.6 * (x > 1), "by up to 0.1 of their size"),
        (lambda x: x * np.nan, "by up to inf of their size"),
    ],
)
def test_a_difference_that_is_too_large(change: Any, text: str) -> None:
    message = rf"answers for task 'large' that differ {text}, with tolerance=0"
    with pytest.raises(RuntimeError, match=message):
        differences(change, tolerance=0.099)


def mixed_model() -> keras.Model:
    """Layers within layers, and an inner model whose input is cast."""
    inputs = keras.Input((5, 3))
    x = keras.layers.Bidirectional(keras.layers.GRU(4))(inputs)
    inner = keras.Sequential([keras.layers.Dense(6, "tanh"), Scale()])
    return fill(keras.Model(inputs, {"t": keras.layers.Dense(2)(inner(x))}))


class Scale(keras.layers.Layer):
    """A layer that nobody has registered."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_copy_in_full_precision(dtype: str) -> None:
    model = in_policy(f"mixed_{dtype}", mixed_model)
    assert lowest_precision(model) == dtype
    copy = in_float32(model)
    assert lowest_precision(copy) == "float32"
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    wanted = predictions(mixed_model(), x)["t"]
    np.testing.assert_allclose(predictions(copy, x)["t"], wanted, atol=1e-6)
    # The model still computes as it did.
    assert np.abs(predictions(model, x)["t"] - wanted).max() > 1e-5


def test_full_precision_needs_no_copy() -> None:
    model = identity()
    assert in_float32(model) is model
