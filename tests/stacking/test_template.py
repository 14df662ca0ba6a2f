from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from keras_selfaux._stacking import Template
from keras_selfaux._stacking._template import (
    config_of_copy,
    output_of,
    symbolic_input,
)
from tests.cases import LAYERS


class Holder(layers.Layer):
    """A layer that has a template."""

    def __init__(self, layer: layers.Layer) -> None:
        super().__init__()
        self.template = Template(layer)
        self.templates = [self.template]


def test_templates_are_no_part_of_what_holds_them() -> None:
    layer = layers.Dense(3)
    layer.build((None, 2))
    holder = Holder(layer)
    holder.built = True
    assert holder.weights == []
    assert list(holder._flatten_layers(include_self=False)) == []


@pytest.mark.parametrize("name", LAYERS)
def test_a_copy_has_the_config_and_is_another(name: str) -> None:
    layer = LAYERS[name].make()
    copy = Template(layer).copy()
    assert copy is not layer
    assert type(copy) is type(layer)
    assert Template(copy).key == Template(layer).key


def test_a_copy_can_be_given_a_name() -> None:
    template = Template(layers.Dense(3, name="old"))
    assert template.copy().name == "old"
    assert template.copy(name="new").name == "new"
    assert template.layer.name == "old"


def test_seeds_are_shifted_wherever_they_are() -> None:
    config = {
        "seed": 3,
        "nested": [{"seed": 4}, {"config": {"seed": None}}, ({"seed": 0},)],
        "flag": {"seed": True},
        "other": 5,
    }
    assert config_of_copy(config, 2) == {
        "seed": 5,
        "nested": [{"seed": 6}, {"config": {"seed": None}}, ({"seed": 2},)],
        "flag": {"seed": True},
        "other": 5,
    }


def test_copies_share_no_inner_objects() -> None:
    # Keras gives two objects of one id to a model as one, while it loads it.
    inner = {"class_name": "Dense", "shared_object_id": 12, "config": {}}
    config = {"layers": [inner, inner]}
    assert config_of_copy(config, 0) == {
        "layers": [{"class_name": "Dense", "config": {}}] * 2
    }


def test_initial_weights_are_those_of_a_built_layer() -> None:
    layer = layers.Dense(3)
    assert Template(layer).initial_weights is None
    layer.build((None, 2))
    for found, wanted in zip(
        Template(layer).initial_weights, layer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_layers_without_weights_have_no_initial_weights() -> None:
    layer = layers.Flatten()
    layer(np.ones((1, 2)))
    assert Template(layer).initial_weights is None


# Keys: which layers are equal.


# Not "functional", which is wired by names.
@pytest.mark.parametrize("name", ["dense_l2", "einsum", "mlp", "lstm"])
def test_layers_that_differ_in_name_only_have_one_key(name: str) -> None:
    first, second = LAYERS[name].make(), LAYERS[name].make()
    assert Template(first).key == Template(second).key


def test_built_and_unbuilt_layers_have_one_key() -> None:
    first, second = layers.Dense(3), layers.Dense(3)
    first.build((None, 2))
    assert Template(first).key == Template(second).key


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda: layers.Dense(3), lambda: layers.Dense(4)),
        (lambda: layers.Dense(3), lambda: layers.Dense(3, "relu")),
        (lambda: layers.Dense(3), lambda: layers.Dense(3, dtype="float64")),
        (lambda: layers.Dense(3), lambda: layers.Dense(3, trainable=False)),
        (lambda: layers.Dropout(0.1), lambda: layers.Dropout(0.2)),
        (lambda: layers.Conv2D(3, 1), lambda: layers.Conv1D(3, 1)),
        (
            lambda: layers.Dense(3, "relu"),
            lambda: keras.Sequential([layers.Dense(3, "relu")]),
        ),
    ],
)
def test_layers_that_do_different_things_have_different_keys(
    make: Callable, other: Callable
) -> None:
    assert Template(make()).key != Template(other()).key


def test_policies_are_part_of_the_key() -> None:
    first = Template(layers.Dense(3)).key
    keras.config.set_dtype_policy("mixed_float16")
    assert Template(layers.Dense(3)).key != first


@pytest.mark.parametrize("name", ["mlp", "functional", "subclass"])
def test_serialised_templates_come_back(name: str) -> None:
    template = Template(LAYERS[name].make())
    layer = keras.saving.deserialize_keras_object(template.serialize())
    assert Template(layer).key == template.key


# Symbolic inputs.


def test_symbolic_inputs_of_structures() -> None:
    found = symbolic_input({"a": (None, 3), "b": [(2, 4), (None, None, 1)]})
    assert found["a"].shape == (None, 3)
    # The batch axis is always free.
    assert [item.shape for item in found["b"]] == [(None, 4), (None, None, 1)]


def test_symbolic_inputs_of_a_dict_are_named_by_its_keys() -> None:
    # Keras warns of a model whose inputs have other names than their keys.
    inputs = symbolic_input({"image": (None, 3), "mask": (None, 3)})
    assert {key: value.name for key, value in inputs.items()} == {
        "image": "image",
        "mask": "mask",
    }


def test_output_of_builds_the_layer() -> None:
    layer = layers.Dense(4, dtype="mixed_float16")
    assert output_of(layer, (None, 3)) == ((None, 4), "float16")
    assert layer.built
