"""The losses of dense prediction as masked losses, against NumPy."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.losses import loss_for_task, masked_loss
from tests.dense import (
    OUTPUTS,
    labelled,
    loss_values,
    make_images,
    make_labels,
    make_losses,
    make_model,
    make_predictions,
)

TASKS = pytest.mark.parametrize("task", OUTPUTS)
MODES = pytest.mark.parametrize("mode", ["eager", "graph", "jit"])


def in_mode(function: Any, mode: str) -> Any:
    if mode == "eager":
        return function
    return tf.function(function, jit_compile=mode == "jit")


@TASKS
@MODES
def test_values_and_gradients(task: str, mode: str) -> None:
    loss = loss_for_task(make_losses()[task], task)
    y, p = make_labels(3)[task], make_predictions(3)[task]

    def both(y: tf.Tensor, p: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(p)
            found = masked_loss(loss, y[None], p[None])
            value = tf.reduce_sum(found.numerator / found.denominator)
        return value, tape.gradient(value, p), found.count, found.present

    value, gradient, count, present = in_mode(both, mode)(
        tf.constant(y), tf.constant(p)
    )
    has = labelled(task, y)
    np.testing.assert_allclose(value, loss_values(task, y, p).mean(), rtol=1e-5)
    np.testing.assert_array_equal(np.reshape(present, has.shape), has)
    assert float(count[0]) == has.sum()
    assert np.all(np.isfinite(gradient))
    # Normals of one length have no gradient along the prediction, but some.
    np.testing.assert_array_equal(np.any(gradient != 0, axis=-1), has)


@TASKS
@MODES
def test_a_batch_without_labels(task: str, mode: str) -> None:
    loss = loss_for_task(make_losses()[task], task)
    y, p = make_labels(1)[task], make_predictions(1)[task]

    def both(y: tf.Tensor, p: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(p)
            found = masked_loss(loss, y[None], p[None])
        return found, tape.gradient(found.numerator, p)

    found, gradient = in_mode(both, mode)(tf.constant(y), tf.constant(p))
    assert float(found.numerator[0]) == float(found.count[0]) == 0.0
    np.testing.assert_array_equal(gradient, np.zeros_like(p))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
        {"jit_compile": False},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ],
    ids=["eager", "graph", "jit"],
)
def test_a_models_losses_are_those_of_numpy(settings: dict[str, Any]) -> None:
    model = make_model()
    model.compile("sgd", loss=make_losses(), **settings)
    x, y = make_images(5), make_labels(5)
    outputs = model.predict(x, verbose=0)
    logs = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    for task in OUTPUTS:
        wanted = loss_values(task, y[task], outputs[task]).mean()
        assert logs[f"{task}_loss"] == pytest.approx(wanted, rel=1e-5)
    assert logs["loss"] == pytest.approx(
        sum(logs[f"{task}_loss"] for task in OUTPUTS), rel=1e-5
    )


@pytest.mark.parametrize(
    "jit", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_training_with_clones_lowers_them(jit: bool) -> None:
    model = make_model("all")
    model.compile("adam", loss=make_losses(), jit_compile=jit)
    model.optimizer.learning_rate = 0.02
    x, y = make_images(6), make_labels(6)
    history = model.fit(x, y, batch_size=3, epochs=5, verbose=0).history
    for task in OUTPUTS:
        losses = history[f"{task}_loss"]
        assert np.all(np.isfinite(losses))
        assert losses[-1] < losses[0]
