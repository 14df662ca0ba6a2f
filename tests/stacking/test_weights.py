"""Where the weights of copies come from, and how they are read and set."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_selfaux._stacking import LayerStack, Template
from tests.cases import LAYERS, LayerCase, noisy
from tests.stacking.helpers import (
    COUNT,
    make_inputs,
    make_stack,
    run,
    set_random_weights,
)

BOTH = pytest.mark.parametrize("stack", [True, False])
SOME = [
    "dense",
    "einsum_middle_bias",
    "conv2d_no_bias",
    "layer_norm",
    "mlp",
    "pooled",
    "batch_norm",
    "lstm",
    "functional",
    "subclass",
]


def kernels(stack: LayerStack) -> list[np.ndarray]:
    """Returns the first weight of each copy."""
    return [stack.module_weights(i)[0] for i in range(stack.count)]


def all_differ(values: list[np.ndarray]) -> bool:
    return all(
        not np.allclose(a, b) for i, a in enumerate(values) for b in values[:i]
    )


@BOTH
@pytest.mark.parametrize("name", ["dense", "einsum", "conv2d", "mlp"])
def test_copies_have_weights_of_their_own(name: str, stack: bool) -> None:
    assert all_differ(kernels(make_stack(LAYERS[name], stack=stack)))


@BOTH
@pytest.mark.parametrize("seed", [7, keras.random.SeedGenerator(7)])
def test_explicit_seeds_give_copies_that_differ(
    seed: object, stack: bool
) -> None:
    case = LayerCase(
        lambda: layers.Dense(
            4, kernel_initializer=keras.initializers.HeNormal(seed=seed)
        ),
        (6,),
    )
    assert all_differ(kernels(make_stack(case, stack=stack)))


@BOTH
def test_explicit_seeds_can_be_repeated(stack: bool) -> None:
    case = LayerCase(
        lambda: layers.Dense(
            4, kernel_initializer=keras.initializers.HeNormal(seed=7)
        ),
        (6,),
    )
    np.testing.assert_array_equal(
        kernels(make_stack(case, stack=stack)),
        kernels(make_stack(case, stack=stack)),
    )


@BOTH
def test_first_index_sets_seeds_of_two_stacks_apart(stack: bool) -> None:
    case = LayerCase(
        lambda: layers.Dense(
            4, kernel_initializer=keras.initializers.HeNormal(seed=7)
        ),
        (6,),
    )
    first = make_stack(case, stack=stack)
    second = make_stack(case, stack=stack, first_index=COUNT)
    assert all_differ(kernels(first) + kernels(second))


@BOTH
def test_initializers_that_are_functions_draw_for_each_copy(
    stack: bool,
) -> None:
    case = LayerCase(lambda: layers.Dense(4, kernel_initializer=noisy), (6,))
    assert all_differ(kernels(make_stack(case, stack=stack)))


@BOTH
def test_constant_initializers(stack: bool) -> None:
    case = LayerCase(
        lambda: layers.Dense(
            4, kernel_initializer="ones", bias_initializer="zeros"
        ),
        (6,),
    )
    for module in range(COUNT):
        kernel, bias = make_stack(case, stack=stack).module_weights(module)
        np.testing.assert_array_equal(kernel, np.ones((6, 4)))
        np.testing.assert_array_equal(bias, np.zeros(4))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: layers.Dense(60), (100,)),
        (lambda: layers.Conv2D(60, 1), (2, 2, 100)),
        (lambda: layers.EinsumDense("abc,cde->abde", (5, 6, 10)), (5, 100)),
        (
            lambda: layers.Dense(60, kernel_initializer="he_uniform"),
            (100,),
        ),
    ],
)
def test_variance_is_that_of_a_single_layer(
    make: object, shape: tuple[int, ...]
) -> None:
    # The fans of a stacked shape (8, 100, 60) would be others.
    stack = make_stack(LayerCase(make, shape), count=8)
    layer = make()
    layer.build((None, *shape))
    wanted = np.var(layer.get_weights()[0])
    for kernel in kernels(stack):
        np.testing.assert_allclose(np.var(kernel), wanted, rtol=0.1)


def test_variance_of_glorot_uniform() -> None:
    stack = make_stack(LayerCase(lambda: layers.Dense(60), (100,)), count=8)
    assert stack.stacked
    for kernel in kernels(stack):
        np.testing.assert_allclose(np.var(kernel), 2 / (100 + 60), rtol=0.1)
        assert np.max(np.abs(kernel)) <= np.sqrt(6 / (100 + 60))


# Built templates.


def built(case: LayerCase) -> keras.layers.Layer:
    layer = case.make()
    layer(make_inputs(case, 1)[0])
    return layer


@BOTH
@pytest.mark.parametrize("name", SOME)
def test_built_templates_give_their_weights(name: str, stack: bool) -> None:
    case = LAYERS[name]
    template = built(case)
    stacked = make_stack(case._replace(make=lambda: template), stack=stack)
    for module in range(COUNT):
        for found, wanted in zip(
            stacked.module_weights(module), template.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


@BOTH
@pytest.mark.parametrize("name", ["dense", "conv2d", "mlp", "functional"])
def test_fresh_copies_of_built_templates(name: str, stack: bool) -> None:
    case = LAYERS[name]
    template = built(case)
    copies = make_stack(
        case._replace(make=lambda: template), stack=stack, fresh=True
    )
    assert all_differ([*kernels(copies), template.get_weights()[0]])


@BOTH
def test_every_template_gives_its_own_weights(stack: bool) -> None:
    case = LAYERS["dense"]
    templates = [built(case), case.make(), built(case)]
    layers = LayerStack([Template(t) for t in templates], stack=stack)
    layers.build((None, *case.shape))
    found = kernels(layers)
    np.testing.assert_array_equal(found[0], templates[0].get_weights()[0])
    np.testing.assert_array_equal(found[2], templates[2].get_weights()[0])
    assert all_differ(found)


@BOTH
def test_built_layers_of_an_unbuilt_sequential(stack: bool) -> None:
    # A pretrained layer wrapped afterwards: both ways must agree about it.
    layer = built(LAYERS["dense"])
    template = keras.Sequential([layer, layers.Dropout(0.5)])
    copies = make_stack(
        LayerCase(lambda: template, LAYERS["dense"].shape), stack=stack
    )
    for kernel in kernels(copies):
        np.testing.assert_array_equal(kernel, layer.get_weights()[0])


@BOTH
@pytest.mark.parametrize("name", ["dense", "mlp", "batch_norm"])
def test_templates_are_left_alone(name: str, stack: bool) -> None:
    case = LAYERS[name]
    template = built(case)
    before = template.get_weights()
    copies = make_stack(case._replace(make=lambda: template), stack=stack)
    set_random_weights(copies)
    run(copies, make_inputs(case, 1), [0], [0], training=True)
    for one, other in zip(before, template.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@BOTH
def test_unbuilt_templates_stay_unbuilt(stack: bool) -> None:
    template = LAYERS["dense"].make()
    make_stack(LAYERS["dense"]._replace(make=lambda: template), stack=stack)
    assert not template.built


# One copy at a time.


@pytest.mark.parametrize("name", SOME)
def test_weights_of_a_copy_come_back(name: str) -> None:
    stack = make_stack(LAYERS[name])
    weights = [
        np.full(w.shape, 0.5 + i, w.dtype)
        for i, w in enumerate(stack.module_weights(1))
    ]
    others = [stack.module_weights(0), stack.module_weights(2)]
    stack.set_module_weights(1, weights)
    for found, wanted in [
        (stack.module_weights(1), weights),
        (stack.module_weights(0), others[0]),
        (stack.module_weights(2), others[1]),
    ]:
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", SOME)
def test_plain_layer_gives_the_same_outputs(name: str) -> None:
    case = LAYERS[name]
    stack = make_stack(case)
    set_random_weights(stack)
    inputs = keras.Input(case.shape)
    layer = stack.plain_layer(1, "plain", inputs)
    assert layer.name == "plain"
    assert type(layer) is type(case.make())
    model = keras.Model(inputs, layer(inputs))
    values = make_inputs(case, 1)
    np.testing.assert_allclose(
        model(values[0]),
        run(stack, values, [0], [1])[0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_plain_layer_is_a_snapshot() -> None:
    stack = make_stack(LAYERS["dense"])
    layer = stack.plain_layer(1, "plain", keras.Input((6,)))
    before = layer.get_weights()[0]
    set_random_weights(stack)
    np.testing.assert_array_equal(layer.get_weights()[0], before)
