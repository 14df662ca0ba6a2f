"""Layers that must not run as one batched product."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from keras_selfaux._stacking._kinds import folds, is_random, stacked_kind
from tests.cases import LayerCase
from tests.stacking.helpers import make_inputs, make_stack, run


@keras.saving.register_keras_serializable("tests")
class Halved(layers.ReLU):
    def call(self, inputs: object) -> object:
        return 0.5 * super().call(inputs)


def with_lora() -> layers.Layer:
    layer = layers.Dense(4)
    layer.build((None, 6))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize(
    "make",
    [
        # What they compute for a sample depends on other samples.
        lambda: layers.Dropout(0.5, noise_shape=(1, 6)),
        lambda: layers.Softmax(axis=0),
        lambda: layers.UnitNormalization(axis=0),
        # What they add to the loss depends on how many samples there are.
        lambda: layers.ActivityRegularization(l2=0.1),
        lambda: layers.ReLU(activity_regularizer="l2"),
        # They are more than their weights and activation.
        with_lora,
        lambda: layers.Dense(4, bias_constraint="non_neg"),
        lambda: layers.SpectralNormalization(layers.Dense(4)),
        lambda: layers.LayerNormalization(gamma_constraint="non_neg"),
        lambda: layers.EinsumDense("ab,bc->ac", 4, kernel_constraint="non_neg"),
        Halved,
        lambda: keras.Sequential([layers.Dense(4), Halved()]),
    ],
)
def test_looped(make: Callable) -> None:
    assert not make_stack(LayerCase(make, (6,))).stacked


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 1, data_format="channels_first"),
        layers.Conv2D(4, (1, 2)),
        layers.Conv1D(4, 1, strides=2),
        layers.DepthwiseConv2D(1),
        layers.Conv2DTranspose(4, 1),
        layers.LayerNormalization(axis=1),
        layers.LayerNormalization(axis=(1, 2)),
        layers.BatchNormalization(axis=1),
        layers.BatchNormalization(renorm=True),
        layers.GroupNormalization(axis=1),
        layers.RMSNormalization(axis=1),
        layers.RMSNormalization(axis=(1, 2)),
        layers.Embedding(3, 4),
    ],
)
def test_no_kind(layer: layers.Layer) -> None:
    assert stacked_kind(layer) is None
    assert not folds(layer)


@pytest.mark.parametrize(
    "make",
    [
        layers.BatchNormalization,
        lambda: layers.GroupNormalization(groups=3),
        layers.LayerNormalization,
        layers.RMSNormalization,
        layers.PReLU,
    ],
)
def test_built_layers_have_a_kind_as_well(make: Callable) -> None:
    # Some of Keras's layers change their `axis` when they are built.
    layer = make()
    kind = stacked_kind(layer)
    assert kind is not None
    layer.build((None, 6))
    assert stacked_kind(layer) is kind


def test_padding_does_not_matter_to_kernels_of_size_one() -> None:
    assert stacked_kind(layers.Conv2D(4, 1, padding="same")) is not None
    assert stacked_kind(layers.Conv1D(4, 1, padding="causal")) is not None


@pytest.mark.parametrize(
    ("layer", "random"),
    [
        (layers.Dropout(0.5), True),
        (layers.GaussianNoise(0.5), True),
        (layers.ReLU(), False),
        (layers.Flatten(), False),
    ],
)
def test_is_random(layer: layers.Layer, random: bool) -> None:
    assert folds(layer)
    assert is_random(layer) is random


def test_an_empty_sequential_is_looped_over() -> None:
    template = keras.Sequential([keras.Input((6,))])
    assert not make_stack(LayerCase(lambda: template, (6,))).stacked


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.PReLU(shared_axes=[2]),
        lambda: layers.PReLU(shared_axes=(1, 2)),
        lambda: layers.LayerNormalization(center=False, scale=False),
    ],
)
def test_weights_that_fit_any_number_of_features(make: Callable) -> None:
    stack = make_stack(LayerCase(make, (3, 8)))
    assert stack.stacked
    other = make_inputs(LayerCase(make, (3, 16)), 1)
    plain = make()
    plain.build((None, 3, 8))
    found = run(stack, other, [0], [0])
    np.testing.assert_allclose(found[0], plain(other[0]), rtol=1e-5, atol=1e-6)


def test_slopes_by_feature_fit_these_alone() -> None:
    case = LayerCase(lambda: layers.PReLU(shared_axes=[1]), (3, 8))
    other = make_inputs(LayerCase(layers.PReLU, (3, 16)), 1)
    with pytest.raises(ValueError, match="inputs of another shape"):
        run(make_stack(case), other, [0], [0])
