"""Losses of random patterns of missing labels, against NumPy."""

from typing import Any

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_selfaux.losses import masked_loss
from tests.generated.outcomes import examples, outcome

FAMILY = "losses"
REDUCTIONS = ("sum_over_batch_size", "mean_with_sample_weight", "sum")

_sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3))
_patterns = st.integers(0, 2**15 - 1)


def _bits(pattern: int, shape: Any) -> Any:
    count = int(np.prod(shape))
    return np.array([pattern >> i & 1 for i in range(count)], bool).reshape(
        shape
    )


def _numbers(shape: Any, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _fraction(values: Any, weights: Any, present: Any, reduction: str) -> Any:
    """Numerators and denominators by their definition."""
    numerators, denominators, counts = [], [], []
    for row in range(len(values)):
        kept = present[row]
        numerators.append(np.sum(values[row][kept] * weights[row][kept]))
        counts.append(kept.sum())
        denominators.append(
            {
                "sum": 1.0,
                "sum_over_batch_size": kept.sum(),
                "mean_with_sample_weight": weights[row][kept].sum(),
            }[reduction]
        )
    return numerators, denominators, counts


@examples(10)
@given(
    _sizes,
    _patterns,
    _patterns,
    st.sampled_from(REDUCTIONS),
    st.sampled_from(["mse", "mae"]),
    st.booleans(),
)
def test_labels_missing_by_nan_and_by_weight(
    sizes: Any, gaps: int, zeros: int, reduction: str, name: str, weighs: bool
) -> None:
    count, batch, _ = sizes
    y_true, y_pred = _numbers(sizes, 0), _numbers(sizes, 1)
    missing = _bits(gaps, (count, batch))
    y_true[missing, 0] = np.nan
    weights = None
    if weighs:
        weights = np.abs(_numbers((count, batch), 2)) + 0.1
        weights[_bits(zeros, (count, batch))] = 0.0
    kind = {
        "mse": keras.losses.MeanSquaredError,
        "mae": keras.losses.MeanAbsoluteError,
    }[name]
    loss = kind(reduction=reduction)
    found = outcome(
        FAMILY, lambda: masked_loss(loss, y_true, y_pred, weights)
    ).value
    power = 2 if name == "mse" else 1
    values = np.mean(np.abs(np.nan_to_num(y_true) - y_pred) ** power, -1)
    applied = np.ones((count, batch)) if weights is None else weights
    present = ~missing & (applied != 0)
    _assert_fractions(found, _fraction(values, applied, present, reduction))


@examples(10)
@given(_sizes, _patterns, st.sampled_from(REDUCTIONS))
def test_labels_that_the_loss_ignores(
    sizes: Any, ignored: int, reduction: str
) -> None:
    count, batch, width = sizes
    generator = np.random.default_rng(0)
    y_true = generator.integers(0, width, (count, batch))
    gone = _bits(ignored, (count, batch))
    y_true[gone] = 255
    logits = _numbers(sizes, 1)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255, reduction=reduction
    )
    found = outcome(FAMILY, lambda: masked_loss(loss, y_true, logits)).value
    log_sums = np.log(np.exp(logits.astype("float64")).sum(-1))
    chosen = np.take_along_axis(
        logits, np.where(gone, 0, y_true)[..., None], -1
    )[..., 0]
    ones = np.ones((count, batch))
    wanted = _fraction(log_sums - chosen, ones, ~gone, reduction)
    _assert_fractions(found, wanted)


def _assert_fractions(found: Any, wanted: Any) -> None:
    for tensor, values in zip(found[:3], wanted, strict=True):
        assert np.isfinite(tensor).all()
        np.testing.assert_allclose(tensor, values, rtol=1e-4, atol=1e-5)
