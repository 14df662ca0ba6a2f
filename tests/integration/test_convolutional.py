"""A convolutional network with clones, from images to a training step."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import _batch, _step
from keras_selfaux.architectures import deeplab_head, resnet50_stages
from keras_selfaux.layers import (
    BilinearUpsampling,
    BranchedEncoder,
    DilatedConv2D,
)
from keras_selfaux.weightings import AutoLambda

OUTPUTS = {"segmentation": 4, "depth": 1, "normals": 3}
CONVOLUTIONS_PER_HEAD = 6  # four in an ASPP of one rate, and two after it
SIZE = 16


def make_model(
    auxiliaries: Any = "all", dropout: float = 0.0
) -> keras_selfaux.SelfAuxModel:
    """Returns a built model: a stem, and per task a dilated branch."""
    keras.utils.set_random_seed(0)
    stem = resnet50_stages(blocks=(1, 1, 1, 1), filters=3)[0]
    stages = [stem, unit(4, dropout)]
    heads = {
        task: keras.Sequential(
            [
                unit(3, dropout),
                keras.layers.Conv2D(count, 1),
                BilinearUpsampling(4),
            ]
        )
        for task, count in OUTPUTS.items()
    }
    return built(stages, heads, auxiliaries)


def make_deeplab(auxiliaries: Any = "all") -> keras_selfaux.SelfAuxModel:
    """Returns a built DeepLab with a half-shared encoder, but tiny."""
    stages = resnet50_stages(blocks=(1, 1, 1, 1), filters=2)
    heads = {
        task: deeplab_head(count, filters=3, rates=(2,))
        for task, count in OUTPUTS.items()
    }
    return built(stages, heads, auxiliaries)


def unit(filters: int, dropout: float) -> keras.Sequential:
    """Returns a dilated convolution and what follows it."""
    return keras.Sequential(
        [
            DilatedConv2D(filters, 3, padding="same", dilation_rate=2),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(dropout),
        ]
    )


def built(
    stages: list, heads: dict, auxiliaries: Any
) -> keras_selfaux.SelfAuxModel:
    """Returns a built model whose encoder is shared by half."""
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder(stages, paths="half"), heads, auxiliaries
    )
    model.build((None, SIZE, SIZE, 3))
    return model


def compile_model(
    model: keras.Model, learning_rate: float, **arguments: Any
) -> None:
    """Compiles with the losses of dense prediction."""
    model.compile(
        keras.optimizers.SGD(learning_rate),
        loss={
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=-1
            ),
            "depth": "mae",
            "normals": keras.losses.CosineSimilarity(),
        },
        **arguments,
    )


def make_data(seed: int = 0, *, missing: bool = True) -> tuple[Any, Any]:
    """Returns images and labels, a few pixels of which have none."""
    rng = np.random.default_rng(seed)
    size = (2, SIZE, SIZE)
    y = {"segmentation": rng.integers(OUTPUTS["segmentation"], size=size)}
    for task in ("depth", "normals"):
        y[task] = rng.normal(size=(*size, OUTPUTS[task])).astype("float32")
    if missing:
        unknown = rng.uniform(size=size) < 0.2
        y["segmentation"][unknown] = -1
        y["depth"][unknown] = np.nan
        y["normals"][unknown] = np.nan
    return rng.normal(size=(*size, 3)).astype("float32"), y


def count_convolutions(model: keras_selfaux.SelfAuxModel) -> int:
    """Counts the convolutions of a forward pass of all losses."""
    batch = _batch.as_batch(make_data(), list(OUTPUTS))
    theta = [v.value for v in model.trainable_variables]

    def losses() -> tf.Tensor:
        return _step.evaluate(model, theta, batch, clones=True).shares

    graph = tf.function(losses).get_concrete_function().graph
    return sum(op.type == "Conv2D" for op in graph.get_operations())


@pytest.mark.slow
def test_features_are_computed_once_however_many_clones() -> None:
    counts = {}
    for auxiliaries in ("none", "all"):
        model = make_deeplab(auxiliaries)
        compile_model(model, 0.1)
        counts[auxiliaries] = count_convolutions(model)
    # Stem, two groups for all tasks and two per task; four per block.
    encoder = 1 + 2 * 4 + 3 * 2 * 4
    assert counts["none"] == encoder + 3 * CONVOLUTIONS_PER_HEAD
    assert counts["all"] - counts["none"] == 6 * CONVOLUTIONS_PER_HEAD


@pytest.mark.slow
def test_auto_lambda_moves_statistics_as_plain_keras_does() -> None:
    model = make_model()
    plain = model.inference_model
    before = model.predict(make_data()[0], verbose=0)
    # A learning rate of 0 leaves the weights alone, not the statistics.
    compile_model(model, 0.0, weighting="auto_lambda")
    compile_model(plain, 0.0)
    for seed in range(2):
        x, y = make_data(seed, missing=False)
        model.train_on_batch(x, y, meta_data=make_data(7))
        plain.train_on_batch(x, y)
    x, _ = make_data()
    wanted = plain.predict(x, verbose=0)
    for task, values in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(values, wanted[task], atol=1e-5)
        assert not np.allclose(values, before[task], atol=1e-3)


@pytest.mark.slow
def test_auto_lambda_trains_everything() -> None:
    model = make_model(dropout=0.2)
    weighting = AutoLambda(initial_weight=1.0)
    compile_model(model, 0.05, weighting=weighting)
    before = [v.numpy().copy() for v in model.trainable_variables]
    data = make_data()
    losses = [
        float(model.train_on_batch(*data, meta_data=make_data(1))[0])
        for _ in range(8)
    ]
    assert np.isfinite(losses).all()
    # All but biases that a batch normalisation takes away again.
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if variable.name in ("kernel", "beta"):
            assert not np.array_equal(variable.numpy(), old), variable.path
    weights = list(model.task_weights.values())
    assert len(weights) == 9
    assert np.all(np.asarray(weights) != 1.0)


@pytest.mark.slow
def test_deeplab_trains_with_a_clone() -> None:
    model = make_deeplab([("segmentation", "depth")])
    compile_model(model, 0.05)
    losses = [model.train_on_batch(*make_data())[0] for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
