"""Stacked metrics against Keras's own, one task at a time."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import metrics

from keras_selfaux.metrics import StackedMean
from keras_selfaux.metrics._mean_kind import mean_kind

TASKS, BATCH, CLASSES = 3, 6, 4
Array = np.ndarray


def real(rng: np.random.Generator, *shape: int) -> tuple[Array, Array]:
    size = (TASKS, BATCH, *shape)
    return rng.uniform(size=size), rng.uniform(size=size)


def sparse(rng: np.random.Generator, *shape: int) -> tuple[Array, Array]:
    labels = rng.integers(0, CLASSES, (TASKS, BATCH, *shape))
    scores = rng.uniform(size=(TASKS, BATCH, *shape, CLASSES))
    return labels, scores / scores.sum(-1, keepdims=True)


def one_hot(rng: np.random.Generator, *shape: int) -> tuple[Array, Array]:
    labels, scores = sparse(rng, *shape)
    return np.eye(CLASSES)[labels], scores


def signs(rng: np.random.Generator) -> tuple[Array, Array]:
    return np.sign(rng.normal(size=(TASKS, BATCH, 2))), real(rng, 2)[1]


CASES: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "mse": (metrics.MeanSquaredError, lambda r: real(r, 2)),
    "mse_of_images": (metrics.MeanSquaredError, lambda r: real(r, 3, 4, 2)),
    "mae": (metrics.MeanAbsoluteError, lambda r: real(r, 2)),
    "mae_float64": (
        lambda: metrics.MeanAbsoluteError(dtype="float64"),
        lambda r: real(r, 2),
    ),
    "mape": (metrics.MeanAbsolutePercentageError, lambda r: real(r, 2)),
    "msle": (metrics.MeanSquaredLogarithmicError, lambda r: real(r, 2)),
    "log_cosh": (metrics.LogCoshError, lambda r: real(r, 2)),
    "rmse": (metrics.RootMeanSquaredError, lambda r: real(r, 2)),
    "rmse_of_images": (metrics.RootMeanSquaredError, lambda r: real(r, 3, 4)),
    "rmse_of_numbers": (
        metrics.RootMeanSquaredError,
        lambda r: (real(r)[0], real(r, 1)[1]),
    ),
    "cosine": (metrics.CosineSimilarity, lambda r: real(r, 3)),
    "cosine_axis": (
        lambda: metrics.CosineSimilarity(axis=1),
        lambda r: real(r, 3, 4),
    ),
    "pearson": (metrics.PearsonCorrelation, lambda r: real(r, 5)),
    "concordance": (metrics.ConcordanceCorrelation, lambda r: real(r, 5)),
    "poisson": (metrics.Poisson, lambda r: real(r, 2)),
    "hinge": (metrics.Hinge, signs),
    "squared_hinge": (metrics.SquaredHinge, signs),
    "categorical_hinge": (metrics.CategoricalHinge, one_hot),
    "kl": (metrics.KLDivergence, one_hot),
    "accuracy": (
        metrics.Accuracy,
        lambda r: (sparse(r, 2)[0], sparse(r, 2)[0]),
    ),
    "binary_accuracy": (
        lambda: metrics.BinaryAccuracy(threshold=0.3),
        lambda r: (real(r, 1)[0].round(), real(r, 1)[1]),
    ),
    "categorical_accuracy": (metrics.CategoricalAccuracy, one_hot),
    "accuracy_of_pixels": (
        metrics.CategoricalAccuracy,
        lambda r: one_hot(r, 2, 3),
    ),
    "sparse_accuracy": (metrics.SparseCategoricalAccuracy, sparse),
    "sparse_accuracy_of_pixels": (
        metrics.SparseCategoricalAccuracy,
        lambda r: sparse(r, 2, 3),
    ),
    "sparse_accuracy_of_columns": (
        metrics.SparseCategoricalAccuracy,
        lambda r: (sparse(r)[0][..., None], sparse(r)[1]),
    ),
    "top_k": (lambda: metrics.TopKCategoricalAccuracy(k=2), one_hot),
    "sparse_top_k": (
        lambda: metrics.SparseTopKCategoricalAccuracy(k=2),
        sparse,
    ),
    "binary_crossentropy": (
        lambda: metrics.BinaryCrossentropy(label_smoothing=0.1),
        lambda r: real(r, 2),
    ),
    "crossentropy": (metrics.CategoricalCrossentropy, one_hot),
    "sparse_crossentropy": (
        lambda: metrics.SparseCategoricalCrossentropy(from_logits=True),
        sparse,
    ),
    "ignored_class": (
        lambda: metrics.SparseCategoricalCrossentropy(ignore_class=1),
        sparse,
    ),
    "function": (
        lambda: metrics.MeanMetricWrapper(keras.losses.huber, delta=0.2),
        lambda r: real(r, 2),
    ),
}

WEIGHTS: dict[str, Callable[..., Any]] = {
    "plain": lambda rng: None,
    "missing": lambda rng: rng.integers(0, 2, (TASKS, BATCH)),
    "weighted": lambda rng: rng.uniform(size=(TASKS, BATCH)),
    "columns": lambda rng: rng.uniform(size=(TASKS, BATCH, 1)),
    "no_label": lambda rng: np.arange(TASKS)[:, None] * np.ones(BATCH),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("name", CASES)
def test_stacked_metrics_equal_keras_metrics(name: str, weights: str) -> None:
    rng = np.random.default_rng(0)
    make, sample = CASES[name]
    singles = [make() for _ in range(TASKS)]
    shape = sample(rng)[1].shape[1:]
    kind = mean_kind(singles[0], shape)
    assert kind is not None
    stacked = StackedMean(kind, TASKS)
    for _ in range(2):
        y_true, y_pred = sample(rng)
        if y_true.dtype == "float64":
            y_true = y_true.astype("float32")
        if y_pred.dtype == "float64":
            y_pred = y_pred.astype("float32")
        weight = WEIGHTS[weights](rng)
        stacked.update_state(y_true, y_pred, weight)
        for i, single in enumerate(singles):
            given = None if weight is None else weight[i].astype("float32")
            single.update_state(y_true[i], y_pred[i], given)
    found = keras.ops.convert_to_numpy(stacked.result())
    np.testing.assert_allclose(
        found, [float(single.result()) for single in singles], rtol=2e-5
    )
    assert found.dtype == singles[0].dtype
    stacked.reset_state()
    assert not keras.ops.convert_to_numpy(stacked.result()).any()


class Doubled(metrics.MeanSquaredError):
    """A user's class may compute anything."""


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AUC(),
        metrics.MeanIoU(2),
        metrics.Precision(),
        metrics.R2Score(),
        metrics.F1Score(),
        metrics.Mean(),
        metrics.CosineSimilarity(axis=0),
        metrics.CosineSimilarity(axis=-2),
        metrics.MeanMetricWrapper(keras.losses.circle),
        metrics.MeanMetricWrapper(keras.losses.dice),
        metrics.MeanMetricWrapper(lambda y_true, y_pred: y_pred - y_true),
        Doubled(),
    ],
    ids=lambda metric: metric.name,
)
def test_what_may_compare_samples_is_no_mean_over_samples(metric: Any) -> None:
    assert mean_kind(metric, (None, 2)) is None


def test_single_numbers_are_no_samples() -> None:
    # Keras takes the mean over the only axis there is: the batch.
    assert mean_kind(metrics.MeanSquaredError(), (None,)) is None


def test_kinds_are_told_apart_by_what_they_compute() -> None:
    def key(metric: Any) -> Any:
        kind = mean_kind(metric, (None, 2))
        assert kind is not None
        return kind.key

    accuracy = metrics.BinaryAccuracy
    assert key(accuracy()) == key(accuracy(name="other"))
    assert key(accuracy()) != key(accuracy(threshold=0.1))
    assert key(metrics.MeanSquaredError()) != key(metrics.MeanAbsoluteError())
    assert key(metrics.MeanSquaredError()) != key(
        metrics.MeanSquaredError(dtype="float64")
    )
    assert key(metrics.MeanSquaredError()) == key(
        metrics.MeanMetricWrapper(keras.losses.mean_squared_error)
    )
