"""`masked_loss` against Keras's losses on each task's labelled samples."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.losses import MaskedLoss, loss_for_task, masked_loss
from tests.cases import LOSSES, SCALAR_LOSSES

TASKS, BATCH = 3, 5
# Which samples have a label: most, one alone, none at all.
HAS_LABEL = np.array(
    [[1, 0, 1, 1, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=bool
)
ALL_LOSSES = pytest.mark.parametrize("name", LOSSES)


def make_data(name: str, batch: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    case = LOSSES[name]
    return (
        case.labels(rng, (TASKS, batch)),
        case.predictions(rng, (TASKS, batch)),
    )


def value(result: MaskedLoss) -> np.ndarray:
    return np.array(
        keras.ops.divide_no_nan(result.numerator, result.denominator)
    )


def with_weights(
    loss: keras.losses.Loss, y_true: Any, y_pred: Any, weights: np.ndarray
) -> list[Any]:
    """Calls the loss task by task, as Keras's `fit` does."""
    wanted = []
    for y, p, w in zip(y_true, y_pred, weights, strict=True):
        # A loss itself broadcasts weights over one further axis at most.
        shape = loss.call(y, p).shape
        full = np.broadcast_to(w.reshape(-1, *(1,) * (len(shape) - 1)), shape)
        wanted.append(loss(y, p, sample_weight=full))
    return wanted


def on_labelled(loss: keras.losses.Loss, y_true: Any, y_pred: Any) -> list[Any]:
    """Calls the loss on each task's labelled samples alone."""
    return [
        loss(y_true[i][has], y_pred[i][has]) if has.any() else 0.0
        for i, has in enumerate(HAS_LABEL)
    ]


def with_nans(y_true: np.ndarray) -> np.ndarray:
    y_true = y_true.astype("float32")
    y_true[~HAS_LABEL] = np.nan
    return y_true


@ALL_LOSSES
def test_every_label_present(name: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make()
    result = masked_loss(loss, y_true, y_pred)
    wanted = [loss(y, p) for y, p in zip(y_true, y_pred, strict=True)]
    np.testing.assert_allclose(value(result), wanted, rtol=1e-5, atol=1e-7)
    assert result.numerator.dtype == result.denominator.dtype == "float32"
    assert result.numerator.shape == result.denominator.shape == (TASKS,)


@ALL_LOSSES
def test_weights_other_than_zero_are_those_of_keras(name: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make()
    weights = np.random.default_rng(4).uniform(0.1, 3.0, (TASKS, BATCH))
    wanted = with_weights(loss, y_true, y_pred, weights)
    found = value(masked_loss(loss, y_true, y_pred, weights))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@ALL_LOSSES
def test_weights_of_zero_leave_samples_out(name: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make()
    weights = np.where(HAS_LABEL, 2.0, 0.0)
    result = masked_loss(loss, y_true, y_pred, weights)
    wanted = on_labelled(loss, y_true, y_pred)
    np.testing.assert_allclose(
        value(result), np.multiply(2, wanted), rtol=1e-5, atol=1e-7
    )


@ALL_LOSSES
def test_labels_that_are_nan_are_left_out(name: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make()
    result = masked_loss(loss, with_nans(y_true), y_pred)
    wanted = on_labelled(loss, y_true, y_pred)
    np.testing.assert_allclose(value(result), wanted, rtol=1e-5, atol=1e-7)
    assert value(result)[2] == 0.0


@ALL_LOSSES
def test_gradient_is_that_of_the_labelled_samples(name: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make()
    y_pred = tf.convert_to_tensor(y_pred)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(y_pred)
        result = masked_loss(loss, with_nans(y_true), y_pred)
        total = tf.reduce_sum(
            tf.math.divide_no_nan(result.numerator, result.denominator)
        )
        wanted = tf.add_n(
            [tf.cast(v, "float32") for v in on_labelled(loss, y_true, y_pred)]
        )
    found = tape.gradient(total, y_pred).numpy()
    np.testing.assert_allclose(
        found,
        tf.convert_to_tensor(tape.gradient(wanted, y_pred)),
        rtol=1e-4,
        atol=1e-6,
    )
    assert np.all(found[~HAS_LABEL] == 0.0)


@ALL_LOSSES
def test_batch_of_one(name: str) -> None:
    y_true, y_pred = make_data(name, batch=1)
    loss = LOSSES[name].make()
    wanted = [loss(y, p) for y, p in zip(y_true, y_pred, strict=True)]
    found = value(masked_loss(loss, y_true, y_pred))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_every_loss_of_keras_has_a_row() -> None:
    # Circle compares the samples of a batch with each other.
    classes = {
        getattr(keras.losses, name)
        for name in dir(keras.losses)
        if name[0].isupper() and name not in ("Loss", "Circle")
    }
    assert {type(case.make()) for case in LOSSES.values()} == classes


# Which labels are present.


def test_present_is_none_where_nothing_can_be_missing() -> None:
    labels = np.zeros((1, 4), "int32")
    predictions = np.ones((1, 4, 2), "float32")
    loss = keras.losses.SparseCategoricalCrossentropy()
    assert masked_loss(loss, labels, predictions).present is None


def test_present_marks_nan_labels_and_zero_weights() -> None:
    y_true = np.array([[[1.0, 2.0], [np.nan, 2.0], [1.0, 1.0], [1.0, 0.0]]])
    weights = np.array([[1.0, 1.0, 0.0, 0.5]])
    result = masked_loss(
        keras.losses.MeanSquaredError(), y_true, np.zeros((1, 4, 2)), weights
    )
    # One value per sample: half a label is none.
    np.testing.assert_array_equal(result.present, [[True, False, False, True]])
    np.testing.assert_allclose(result.numerator, [2.5 + 0.5 * 0.5])
    np.testing.assert_allclose(result.denominator, [2.0])


def test_nan_pixels_are_left_out_one_by_one() -> None:
    rng = np.random.default_rng(0)
    y_true = rng.normal(size=(2, 3, 4, 5, 1)).astype("float32")
    y_pred = rng.normal(size=(2, 3, 4, 5, 1)).astype("float32")
    missing = rng.uniform(size=(2, 3, 4, 5)) < 0.5
    result = masked_loss(
        keras.losses.MeanAbsoluteError(),
        np.where(missing[..., None], np.nan, y_true),
        y_pred,
    )
    errors = np.abs(y_true - y_pred)[..., 0]
    wanted = [errors[i][~missing[i]].mean() for i in range(2)]
    np.testing.assert_allclose(value(result), wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(result.present, ~missing)


def test_ignored_classes_are_left_out_pixel_by_pixel() -> None:
    y_true, y_pred = make_data("sparse_ignore")
    y_true[2] = 0  # nothing but the ignored class
    loss = LOSSES["sparse_ignore"].make()
    result = masked_loss(loss, y_true, y_pred)
    single = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    wanted = [
        single(y[y != 0], p[y != 0])
        for y, p in zip(y_true[:2], y_pred[:2], strict=True)
    ]
    np.testing.assert_allclose(
        value(result), [*wanted, 0.0], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(result.present, y_true != 0)


def test_ignored_classes_and_weights_of_zero_together() -> None:
    y_true, y_pred = make_data("sparse_ignore")
    loss = LOSSES["sparse_ignore"].make()
    result = masked_loss(loss, y_true, y_pred, HAS_LABEL.astype("float32"))
    present = (y_true != 0) & HAS_LABEL[..., None, None]
    np.testing.assert_array_equal(result.present, present)
    single = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        value(result)[:2],
        [single(y_true[i][present[i]], y_pred[i][present[i]]) for i in (0, 1)],
        rtol=1e-5,
    )


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 5, 1), (2, 3, 1, 1)])
def test_weights_by_pixel(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.normal(size=(2, 2, 3, 4, 5, 2)).astype("float32")
    weights = rng.integers(0, 3, shape).astype("float32")
    loss = keras.losses.MeanSquaredError()
    errors = np.mean((y_true - y_pred) ** 2, axis=-1)
    by_pixel = np.broadcast_to(weights.reshape(weights.shape[:4]), errors.shape)
    wanted = [
        np.sum(errors[i] * by_pixel[i]) / np.sum(by_pixel[i] != 0)
        for i in range(2)
    ]
    found = value(masked_loss(loss, y_true, y_pred, weights))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_predictions_of_missing_labels_may_be_anything() -> None:
    y_pred = tf.constant([[[np.inf], [np.nan], [3.0]]])
    y_true = np.array([[[np.nan], [np.nan], [1.0]]], "float32")
    result = masked_loss(keras.losses.MeanSquaredError(), y_true, y_pred)
    np.testing.assert_allclose(value(result), [4.0])


# Shapes.


def test_labels_without_the_last_axis_of_the_predictions() -> None:
    y_true = np.array([[1.0, np.nan, 0.0]], "float32")
    y_pred = np.array([[[0.5], [9.0], [2.0]]], "float32")
    result = masked_loss(keras.losses.MeanSquaredError(), y_true, y_pred)
    # Broadcasting (3,) against (3, 1) would compare all with all.
    np.testing.assert_allclose(value(result), [(0.25 + 4.0) / 2])


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1)])
def test_predictions_without_a_last_axis(shape: tuple[int, ...]) -> None:
    y_true = np.reshape([1.0, np.nan, 0.0], shape).astype("float32")
    y_pred = np.array([[0.5, 9.0, 2.0]], "float32")
    result = masked_loss(keras.losses.MeanSquaredError(), y_true, y_pred)
    np.testing.assert_allclose(value(result), [(0.25 + 4.0) / 2])


@pytest.mark.parametrize("jit", [False, True])
def test_batches_of_unknown_size(jit: bool) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=0
    )

    @tf.function(
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec((TASKS, None, None, None), "int32"),
            tf.TensorSpec((TASKS, None, None, None, 4)),
        ],
    )
    def compiled(y_true: Any, y_pred: Any) -> Any:
        return masked_loss(loss, y_true, y_pred)

    y_true, y_pred = make_data("sparse_ignore")
    np.testing.assert_allclose(
        value(compiled(y_true, y_pred)),
        value(masked_loss(loss, y_true, y_pred)),
        rtol=1e-5,
    )


def test_losses_beyond_float16() -> None:
    y_pred = tf.constant([[[300.0], [0.0]]], "float16")
    result = masked_loss(
        keras.losses.MeanSquaredError(), np.zeros((1, 2, 1)), y_pred
    )
    assert result.numerator.dtype == "float32"
    np.testing.assert_allclose(value(result), [45000.0])
    np.testing.assert_allclose(result.numerator, [90000.0])


# Reductions.


@pytest.mark.parametrize(
    "reduction",
    ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"],
)
@pytest.mark.parametrize("name", ["mse", "sparse_image", "categorical"])
def test_reductions_are_those_of_keras(name: str, reduction: str) -> None:
    y_true, y_pred = make_data(name)
    loss = LOSSES[name].make(reduction=reduction)
    weights = np.random.default_rng(4).uniform(0.1, 3.0, (TASKS, BATCH))
    wanted = with_weights(loss, y_true, y_pred, weights)
    found = value(masked_loss(loss, y_true, y_pred, weights))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("reduction", "wanted"),
    [
        ("sum_over_batch_size", (2 * 1 + 1 * 9) / 2),
        ("mean", (2 * 1 + 1 * 9) / 2),
        ("mean_with_sample_weight", (2 * 1 + 1 * 9) / 3),
        ("sum", 2 * 1 + 1 * 9),
    ],
)
def test_reductions_of_what_is_present(reduction: str, wanted: float) -> None:
    y_true = np.array([[[1.0], [np.nan], [5.0], [3.0]], [[np.nan]] * 4])
    weights = np.array([[2.0, 7.0, 0.0, 1.0]] * 2)
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    y_pred = np.zeros((2, 4, 1), "float32")
    result = masked_loss(loss, y_true, y_pred, weights)
    np.testing.assert_allclose(value(result), [wanted, 0.0], rtol=1e-6)


# Losses that cannot be used.


@pytest.mark.parametrize("make", SCALAR_LOSSES.values(), ids=SCALAR_LOSSES)
def test_losses_of_a_whole_batch(make: Callable) -> None:
    y_true, y_pred = make_data("dice")
    with pytest.raises(
        ValueError,
        match=r"Loss '\w+' gives one value for a whole batch, so that missing "
        r"labels cannot be left out. Received: a scalar. Use a loss that "
        r"reduces over the last axes only \(for example `Dice\(axis=",
    ):
        masked_loss(make(), y_true, y_pred)


def test_losses_of_a_whole_batch_given_by_name_are_named() -> None:
    y_true, y_pred = make_data("dice")
    with pytest.raises(ValueError, match="Loss 'dice' gives one value"):
        masked_loss(loss_for_task("dice", "seg"), y_true, y_pred)
