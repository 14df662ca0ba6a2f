"""The metrics of dense prediction, ours and Keras's, and each in NumPy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_selfaux.metrics import (
    MeanAngle,
    MeanIoU,
    MeanRelativeError,
    MedianAngle,
    WithinAngle,
)
from tests.dense import CLASSES, labelled


def angles(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    y, p = y.astype("float64"), p.astype("float64")
    cosine = (y * p).sum(-1) / np.linalg.norm(y, axis=-1)
    return np.degrees(np.arccos(cosine / np.linalg.norm(p, axis=-1)))


def mean_iou(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    y, p = y[..., 0], p.argmax(-1)
    shares = []
    for c in range(CLASSES):
        union = w[(y == c) | (p == c)].sum()
        if union:
            shares.append(w[(y == c) & (p == c)].sum() / union)
    return float(np.mean(shares))


def median_angle(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    found = angles(y, p)
    order = np.argsort(found)
    below = np.cumsum(w[order])
    return float(found[order][np.searchsorted(below, below[-1] / 2)])


def mean_of(value: Callable[..., np.ndarray]) -> Callable[..., float]:
    def wanted(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
        return float(np.average(value(y, p), weights=w))

    return wanted


# Of labelled pixels: labels (n, ...), predictions (n, ...) and weights (n,).
OURS: dict[str, tuple[str, Callable[[], Any], Callable[..., float]]] = {
    "mean_iou": ("seg", lambda: MeanIoU(CLASSES), mean_iou),
    "mean_relative_error": (
        "depth",
        MeanRelativeError,
        mean_of(lambda y, p: (np.abs(y - p) / y)[:, 0]),
    ),
    "mean_angle": ("normal", MeanAngle, mean_of(angles)),
    "median_angle": ("normal", MedianAngle, median_angle),
    **{
        f"within_{limit:g}": (
            "normal",
            lambda limit=limit: WithinAngle(limit),
            mean_of(lambda y, p, limit=limit: angles(y, p) < limit),
        )
        for limit in (11.25, 90)
    },
}
KERAS: dict[str, tuple[str, Callable[[], Any], Callable[..., float]]] = {
    "sparse_categorical_accuracy": (
        "seg",
        keras.metrics.SparseCategoricalAccuracy,
        mean_of(lambda y, p: y[:, 0] == p.argmax(-1)),
    ),
    "mean_absolute_error": (
        "depth",
        keras.metrics.MeanAbsoluteError,
        mean_of(lambda y, p: np.abs(y - p)[:, 0]),
    ),
    "root_mean_squared_error": (
        "depth",
        keras.metrics.RootMeanSquaredError,
        lambda y, p, w: float(
            np.sqrt(np.average((y - p)[:, 0] ** 2, weights=w))
        ),
    ),
}


def tolerance(name: str) -> dict[str, float]:
    return {"abs": 0.05} if name == "median_angle" else {"rel": 1e-5}


def wanted_result(
    name: str, y: np.ndarray, p: np.ndarray, w: np.ndarray | None = None
) -> float:
    task, _, wanted = {**OURS, **KERAS}[name]
    has = labelled(task, y)
    w = np.ones(has.shape) if w is None else np.broadcast_to(w, has.shape)
    return wanted(y[has], p[has], w[has])
