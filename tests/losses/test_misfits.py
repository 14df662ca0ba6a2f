"""Whose fault it is that a loss cannot be computed."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux.losses._misfits import named_misfits
from keras_selfaux.losses._resolve import FunctionLoss, loss_for_task
from tests.integration.models import make_data, make_model

LABELS, PREDICTIONS = np.ones((1, 4, 3)), np.ones((1, 4, 2))


class Faulty(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.margn


def faulty(y_true: Any, y_pred: Any) -> Any:
    return y_pred.margn


@pytest.mark.parametrize("loss", [Faulty(), FunctionLoss(faulty)])
def test_a_fault_of_the_users_own_is_told_as_it_is(loss: Any) -> None:
    with (
        pytest.raises(AttributeError, match="margn") as found,
        named_misfits("a", loss, LABELS, PREDICTIONS),
    ):
        loss(LABELS, PREDICTIONS)
    [note] = found.value.__notes__
    assert note == (
        "In the loss of task 'a', for labels of shape (4, 3) and dtype "
        "float64, predictions of shape (4, 2)."
    )


def test_it_is_so_in_training() -> None:
    model = make_model()
    model.compile("sgd", loss={"a": "mse", "b": Faulty(), "c": "mse"})
    with pytest.raises(AttributeError, match="margn") as found:
        model.fit(*make_data(4), verbose=0)
    assert "In the loss of task 'b'" in "".join(found.value.__notes__)
    assert "call" in [entry.name for entry in found.traceback]


def test_labels_that_do_not_fit_a_loss_of_keras() -> None:
    loss = loss_for_task("mse", "a")
    message = (
        r"loss of task 'a' cannot compare .* labels of shape \(4, 3\) and "
        r"dtype float64, predictions of shape \(4, 2\) \(ValueError"
    )
    with (
        pytest.raises(ValueError, match=message),
        named_misfits("a", loss, LABELS, PREDICTIONS),
    ):
        raise ValueError("shapes")


def test_what_is_no_misfit() -> None:
    with (
        pytest.raises(MemoryError),
        named_misfits("a", loss_for_task("mse", "a"), LABELS, PREDICTIONS),
    ):
        raise MemoryError
