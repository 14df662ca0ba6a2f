import json
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux.losses import loss_for_task, masked_loss
from tests.cases import LOSSES


@keras.saving.register_keras_serializable("tests")
def cubic(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)


def numbers(loss: keras.losses.Loss, name: str = "mse") -> np.ndarray:
    rng = np.random.default_rng(0)
    y_true = LOSSES[name].labels(rng, (2, 4))
    y_pred = LOSSES[name].predictions(rng, (2, 4))
    return np.array(masked_loss(loss, y_true, y_pred).numerator)


def through_json(loss: keras.losses.Loss) -> Any:
    config = keras.saving.serialize_keras_object(loss)
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("mse", "mse"),
        ("mean_squared_error", "mse"),
        ("MeanSquaredError", "mse"),
        ("mae", "mae"),
        ("mape", "mape"),
        ("msle", "msle"),
        ("huber", "huber"),
        ("log_cosh", "log_cosh"),
        ("binary_crossentropy", "binary"),
        ("binary_focal_crossentropy", "binary_focal"),
        ("categorical_crossentropy", "categorical"),
        ("categorical_focal_crossentropy", "categorical_focal"),
        ("sparse_categorical_crossentropy", "sparse"),
        ("kl_divergence", "kl"),
        ("poisson", "poisson"),
        ("hinge", "hinge"),
        ("squared_hinge", "squared_hinge"),
        ("categorical_hinge", "categorical_hinge"),
        ("CosineSimilarity", "cosine"),
    ],
)
def test_names_are_those_of_keras(identifier: str, name: str) -> None:
    found = numbers(loss_for_task(identifier, "seg"), name)
    np.testing.assert_allclose(found, numbers(LOSSES[name].make(), name))


def test_instances_come_back_themselves() -> None:
    loss = keras.losses.Huber(0.5)
    assert loss_for_task(loss, "seg") is loss


def test_config_dicts() -> None:
    wanted = LOSSES["sparse_ignore"].make()
    loss = loss_for_task(keras.losses.serialize(wanted), "seg")
    np.testing.assert_allclose(
        numbers(loss, "sparse_ignore"), numbers(wanted, "sparse_ignore")
    )


def test_classes() -> None:
    loss = loss_for_task(keras.losses.MeanSquaredError, "seg")
    np.testing.assert_allclose(numbers(loss), numbers(LOSSES["mse"].make()))


def test_functions_become_losses() -> None:
    loss = loss_for_task(cubic, "seg")
    assert isinstance(loss, keras.losses.Loss)
    y_true = np.array([[[1.0, 2.0]]])
    result = masked_loss(loss, y_true, np.zeros((1, 1, 2)))
    np.testing.assert_allclose(result.numerator, [(1 + 8) / 2])


def test_functions_leave_missing_labels_out() -> None:
    y_true = np.array([[[1.0], [np.nan], [3.0]]])
    result = masked_loss(
        loss_for_task(cubic, "seg"), y_true, np.zeros((1, 3, 1))
    )
    np.testing.assert_allclose(result.numerator, [28.0])
    np.testing.assert_allclose(result.denominator, [2.0])


@pytest.mark.parametrize("identifier", ["mse", cubic])
def test_functions_as_losses_can_be_serialised(identifier: Any) -> None:
    loss = loss_for_task(identifier, "seg")
    loss.reduction = "sum"
    restored = through_json(loss)
    assert type(restored) is type(loss)
    assert restored.reduction == "sum"
    np.testing.assert_allclose(numbers(restored), numbers(loss))


@pytest.mark.parametrize("identifier", ["nonsense", {"class_name": "Mean"}, 3])
def test_no_loss(identifier: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss` of task 'seg' cannot be used: .* Pass a Keras loss, its "
        "name or a function",
    ):
        loss_for_task(identifier, "seg")


def test_none_is_no_loss() -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss` of task 'seg' cannot be used: None. Received: None",
    ):
        loss_for_task(None, "seg")


@pytest.mark.parametrize("reduction", [None, "none"])
def test_losses_without_a_reduction(reduction: str | None) -> None:
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    with pytest.raises(
        ValueError,
        match=r"`loss` of task 'seg' cannot be used: .* Received: "
        rf"reduction={reduction!r}. Pass .* reduced by one of "
        r"\['sum_over_batch_size'",
    ):
        loss_for_task(loss, "seg")
