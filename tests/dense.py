"""Labels of every pixel as tests use them, many of them missing."""

from typing import Any

import keras
import numpy as np

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.losses import CosineDistance

CLASSES = 4
OUTPUTS = {"seg": CLASSES, "depth": 1, "normal": 3}
SIZE = (6, 8)
IGNORED = 255


def make_losses() -> dict[str, Any]:
    """The usual losses of dense prediction."""
    return {
        "seg": keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=IGNORED
        ),
        "depth": "mae",
        "normal": CosineDistance(),
    }


def make_labels(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Labels of images, the first of which has none at all."""
    rng = np.random.default_rng(seed)
    shape = (count, *SIZE)
    seg = rng.integers(CLASSES - 1, size=(*shape, 1)).astype("uint8")
    depth = rng.uniform(1, 5, (*shape, 1)).astype("float32")
    normal = rng.normal(size=(*shape, 3)).astype("float32")
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    y = {"seg": seg, "depth": depth, "normal": normal}
    for task, labels in y.items():
        missing = rng.uniform(size=shape) < 0.4
        missing[0] = True
        labels[missing] = IGNORED if task == "seg" else np.nan
    return y


def make_predictions(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Predictions at random."""
    rng = np.random.default_rng(seed)
    return {
        task: rng.normal(size=(count, *SIZE, number)).astype("float32")
        for task, number in OUTPUTS.items()
    }


def make_images(count: int) -> np.ndarray:
    """Images at random."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, *SIZE, 3)).astype("float32")


def make_model(auxiliaries: Any = "none") -> keras_selfaux.SelfAuxModel:
    """A built model that treats pixels alone."""
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder([keras.layers.Conv2D(5, 1, activation="tanh")] * 2),
        {task: keras.layers.Conv2D(n, 1) for task, n in OUTPUTS.items()},
        auxiliaries,
    )
    model.build((None, *SIZE, 3))
    return model


def labelled(task: str, y: np.ndarray) -> np.ndarray:
    """Says which pixels have a label, `(batch, height, width)`."""
    if task == "seg":
        return np.asarray(y[..., 0] != IGNORED)
    return np.asarray(~np.isnan(y).any(-1))


def loss_values(task: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Computes a task's loss in NumPy at every pixel with a label."""
    has = labelled(task, y)
    y, p = y[has], p[has].astype("float64")
    if task == "seg":
        y = y[:, 0].astype(int)
        return np.log(np.exp(p).sum(-1)) - p[np.arange(len(p)), y]
    if task == "depth":
        return np.abs(y - p)[:, 0]
    return 1 - (y * p).sum(-1) / np.linalg.norm(p, axis=-1)
