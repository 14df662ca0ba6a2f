"""What a stack says of itself."""

import keras
import pytest
from keras import layers

from keras_selfaux._stacking import LayerStack, Template
from tests.cases import DoubledDense


def described(
    layer: layers.Layer, count: int = 3, shape: tuple = (4, 5, 6), **options
) -> str:
    stack = LayerStack([Template(layer)] * count, **options)
    stack.build((None, *shape))
    return stack.describe()


def functional(name: str) -> keras.Model:
    inputs = keras.Input((4, 5, 6))
    return keras.Model(inputs, layers.Dense(2)(inputs), name=name)


def test_stacked() -> None:
    assert described(layers.Dense(3)) == "3 copies of Dense in one product"
    assert described(layers.Dense(3), 1200) == (
        "1,200 copies of Dense in one product"
    )
    assert described(layers.Dense(3, activation=layers.LeakyReLU(0.1))) == (
        "3 copies of Dense in one product"
    )
    model = keras.Sequential([layers.Dense(3), layers.ReLU()], name="head")
    assert described(model) == "3 copies of head in one product"


@pytest.mark.parametrize("stack", [True, False])
def test_a_single_copy_neither_stacks_nor_loops(stack: bool) -> None:
    assert described(layers.Dense(3), 1, stack=stack) == "1 copy of Dense"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: functional("net"), "a model that is not Sequential"),
        (
            lambda: keras.Sequential([layers.ReLU(), functional("net")]),
            "a model that is not Sequential",
        ),
        (
            lambda: layers.Conv2D(2, (3, 1)),
            "Conv2D with kernel 3x1 does not stack",
        ),
        (
            lambda: layers.Conv2D(2, 1, strides=2),
            "Conv2D with strides 2x2 does not stack",
        ),
        (
            lambda: layers.Conv2D(2, 1, groups=2),
            "Conv2D with groups=2 does not stack",
        ),
        (
            lambda: layers.Conv2DTranspose(2, 1),
            "Conv2DTranspose does not stack",
        ),
        (lambda: DoubledDense(2), "DoubledDense does not stack"),
        (
            lambda: layers.BatchNormalization(renorm=True),
            "BatchNormalization with renorm does not stack",
        ),
        (
            lambda: layers.BatchNormalization(axis=1),
            "BatchNormalization with axis=1 does not stack",
        ),
        (
            lambda: layers.LayerNormalization(axis=(1, 2)),
            "LayerNormalization with axis=[1, 2] does not stack",
        ),
        (
            lambda: layers.Dense(2, kernel_constraint="non_neg"),
            "Dense with a kernel_constraint does not stack",
        ),
        (
            lambda: layers.Dense(2, activity_regularizer="l2"),
            "Dense with an activity_regularizer does not stack",
        ),
        (
            lambda: layers.Dense(
                2, kernel_regularizer="orthogonal_regularizer"
            ),
            "Dense with a kernel_regularizer other than L1 and L2 does not "
            "stack",
        ),
        (
            lambda: layers.Dense(2, lora_rank=1),
            "Dense with LoRA does not stack",
        ),
        (
            lambda: layers.Dropout(0.5, noise_shape=(1, 4, 5, 6)),
            "Dropout with a noise_shape does not stack",
        ),
        (
            lambda: layers.Dense(2, activation=layers.PReLU()),
            "Dense with a layer as its activation does not stack",
        ),
        (
            lambda: layers.Activation(layers.PReLU()),
            "Activation with a layer as its activation does not stack",
        ),
        (
            lambda: keras.Sequential([layers.Dense(2), layers.Softmax(0)]),
            "Softmax with axis=0 does not stack",
        ),
    ],
)
def test_why_looped(make: object, why: str) -> None:
    layer = make()
    name = (
        layer.name if isinstance(layer, keras.Model) else type(layer).__name__
    )
    assert described(layer) == f"3 copies of {name}, looped ({why})"


def test_looped_because_it_was_asked_for() -> None:
    assert described(layers.Dense(3), stack=False) == (
        "3 copies of Dense, looped (stack=False)"
    )


def test_looped_because_a_few_large_layers_are_faster_so() -> None:
    # The kernel has 6 times 10,923 entries.
    assert described(layers.Dense(10_923), 2) == (
        "2 copies of Dense, looped "
        "(a weight has 65,538 entries: more than 65,536)"
    )
