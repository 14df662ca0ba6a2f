"""Layers that hold other layers, such as one as their activation.

Keras builds these late: not before the outer layer computes something.
"""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

import keras_selfaux
from keras_selfaux._stacking import LayerStack, Template
from tests.cases import LayerCase
from tests.stacking.helpers import COUNT, make_inputs, run, set_random_weights


def dense() -> layers.Layer:
    return layers.Dense(4, activation=layers.PReLU())


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), dense(), layers.Dense(2)])


def functional() -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(2)(dense()(dense()(inputs))))


ALL = pytest.mark.parametrize("make", [dense, sequential, functional])


def make_stack(template: layers.Layer, **options: bool) -> LayerStack:
    stack = LayerStack([Template(template)] * COUNT, **options)
    stack.build((None, 6))
    return stack


def called(layer: layers.Layer) -> layers.Layer:
    """Returns a layer that has computed something, hence has all weights."""
    layer(np.ones((1, 6), "float32"))
    return layer


@ALL
def test_all_weights_are_there_after_building(make: Callable) -> None:
    wanted = [w.shape for w in called(make()).weights]
    stack = make_stack(make())
    for module in range(COUNT):
        assert [w.shape for w in stack.module_weights(module)] == wanted
    plain = stack.plain_layer(1, "plain", keras.Input((6,)))
    assert [w.shape for w in plain.weights] == wanted


@ALL
def test_each_copy_runs_with_its_own(make: Callable) -> None:
    stack, layer = make_stack(make()), called(make())
    set_random_weights(stack)
    inputs = make_inputs(LayerCase(make, (6,)), 1)
    results = run(stack, inputs, [0] * COUNT, range(COUNT))
    for module in range(COUNT):
        layer.set_weights(stack.module_weights(module))
        np.testing.assert_allclose(
            results[module], layer(inputs[0]), rtol=1e-5, atol=1e-6
        )


@ALL
@pytest.mark.parametrize("complete", [True, False])
def test_built_templates_give_what_they_have(
    make: Callable, complete: bool
) -> None:
    template = make()
    template(keras.Input((6,)))
    given = [w.path for w in template.weights]
    if complete:
        called(template)
        template.set_weights([w + 0.5 for w in template.get_weights()])
        given = [w.path for w in template.weights]
    stack = make_stack(template)
    called(template)  # the rest of its weights, which start as the copies' do
    assert complete == (len(given) == len(template.weights))
    for found, wanted in zip(
        stack.module_weights(2), template.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_they_train_and_come_back(tmp_path) -> None:
    branch = keras.Sequential([dense(), layers.Dense(6)])
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([layers.Dense(6), branch], 1),
        {"a": sequential(), "b": sequential()},
    )
    model.compile("adam", loss="mse", weighting="auto_lambda")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype("float32")
    y = {task: rng.normal(size=(8, 2)).astype("float32") for task in "ab"}
    model.fit(x, y, meta_data=(x, y), verbose=0)
    alphas = [v for v in model.trainable_variables if v.name == "alpha"]
    assert len(alphas) == 2 + 4  # branches; primary heads and clones
    assert all(np.any(alpha.numpy()) for alpha in alphas)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    wanted = model.predict(x, verbose=0)
    for other in (loaded, model.inference_model):
        found = other.predict(x, verbose=0)
        for task in "ab":
            np.testing.assert_allclose(found[task], wanted[task], rtol=1e-5)
