"""Layers with `trainable=False`, and layers frozen or thawed later."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_selfaux._stacking import LayerStack
from tests.cases import LAYERS, LayerCase
from tests.stacking.helpers import COUNT, make_inputs, make_stack, run

BOTH = pytest.mark.parametrize("stack", [True, False])
DENSE = LayerCase(lambda: layers.Dense(4, trainable=False), (6,))
NORM = LayerCase(lambda: layers.BatchNormalization(trainable=False), (6,))
PARTLY = LayerCase(
    lambda: keras.Sequential(
        [layers.Dense(4, trainable=False), layers.Dense(3)]
    ),
    (6,),
)


def sizes(stack: LayerStack) -> int:
    """Returns how many entries the trainable weights of a copy have."""
    return sum(v.numpy().size for v in stack.trainable_variables) // COUNT


@BOTH
@pytest.mark.parametrize(
    ("case", "frozen", "thawed"),
    [(DENSE, 0, 28), (NORM, 0, 12), (PARTLY, 15, 28 + 15)],
)
def test_what_trains(
    case: LayerCase, frozen: int, thawed: int, stack: bool
) -> None:
    copies = make_stack(case, stack=stack)
    assert copies.stacked is stack
    assert sizes(copies) == frozen
    copies.trainable = False  # to Keras, setting what is set does nothing
    assert sizes(copies) == 0
    copies.trainable = True
    assert sizes(copies) == thawed


@BOTH
def test_stacks_frozen_before_they_are_built(stack: bool) -> None:
    copies = make_stack(LAYERS["batch_norm"], stack=stack, trainable=False)
    assert not any(v.trainable for v in copies.variables)
    copies.trainable = True
    assert sizes(copies) == 28 + 8


@BOTH
def test_frozen_templates_that_were_built(stack: bool) -> None:
    template = layers.Dense(4)
    template.build((None, 6))
    template.trainable = False
    copies = make_stack(DENSE._replace(make=lambda: template), stack=stack)
    assert sizes(copies) == 0
    np.testing.assert_array_equal(
        copies.module_weights(1)[0], template.get_weights()[0]
    )


@BOTH
def test_frozen_batch_normalisation_runs_as_at_inference(stack: bool) -> None:
    copies = make_stack(NORM, stack=stack)
    inputs = 3 + make_inputs(NORM, 1)
    before = copies.module_weights(0)
    found = run(copies, inputs, [0], [0], training=True)
    np.testing.assert_allclose(found, run(copies, inputs, [0], [0]))
    for one, other in zip(before, copies.module_weights(0), strict=True):
        np.testing.assert_array_equal(one, other)


@BOTH
def test_batch_normalisation_frozen_later(stack: bool) -> None:
    copies = make_stack(LAYERS["batch_norm"], stack=stack)
    inputs = 3 + make_inputs(LAYERS["batch_norm"], 1)
    trained = run(copies, inputs, [0], [0], training=True)
    copies.trainable = False
    frozen = run(copies, inputs, [0], [0], training=True)
    np.testing.assert_allclose(frozen, run(copies, inputs, [0], [0]))
    assert np.any(np.abs(trained - frozen) > 0.1)
