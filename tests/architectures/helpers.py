"""What tests of several architectures do with stages and heads."""

import pathlib
from typing import Any

import keras
import numpy as np

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder

TASKS = ("a", "b", "c")


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def branched(stages: list, paths: Any) -> BranchedEncoder:
    return BranchedEncoder(stages, paths, tasks=list(TASKS))


def convolutions(stage: keras.Model) -> list[keras.layers.Conv2D]:
    return [x for x in stage.layers if isinstance(x, keras.layers.Conv2D)]


def model_of(stages: list, head: Any) -> keras_selfaux.SelfAuxModel:
    """Returns a half-shared model with all clones, one form of head."""
    return keras_selfaux.SelfAuxModel(
        BranchedEncoder(stages), dict.fromkeys("ab", head), "all"
    )


def assert_trains_and_is_saved(
    model: keras_selfaux.SelfAuxModel, x: np.ndarray, path: pathlib.Path
) -> None:
    """Trains for a step, and loads what was saved with equal predictions."""
    model.build((None, *x.shape[1:]))
    outputs = model(x)
    y = {task: images(*value.shape) for task, value in outputs.items()}
    before = [np.array(v) for v in model.trainable_variables]
    model.compile("sgd", loss="mse")
    model.train_on_batch(x, y)
    after = [np.array(v) for v in model.trainable_variables]
    assert all(np.isfinite(v).all() for v in after)
    # A convolution before normalisation may see no gradient, not all of them.
    changed = [(b != a).any() for b, a in zip(before, after, strict=True)]
    assert np.mean(changed) > 0.9
    model.save(path / "model.keras")
    loaded = keras.models.load_model(path / "model.keras")
    wanted = model(x)
    for task, found in loaded(x).items():
        np.testing.assert_allclose(found, wanted[task], rtol=1e-5, atol=1e-6)
