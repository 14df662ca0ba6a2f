"""Layers made under a `keras.RematScope`: same numbers, less that is kept."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_selfaux
from keras_selfaux import _step
from keras_selfaux._batch import as_batch
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import TASKS, compile_model

SIZE = (6, 5, 3)
MODES = ["full", "activations", "larger_than", "list_of_layers"]


def make_data(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(count)
    x = rng.normal(size=(count, *SIZE)).astype("float32")
    labels = {t: rng.normal(size=(count, 2)).astype("float32") for t in TASKS}
    return x, labels


def stage() -> Any:
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", activation="tanh", name="c"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
        ]
    )


def functional_encoder() -> Any:
    inputs = keras.Input(SIZE)
    trunk = stage()(inputs)
    branches = {task: stage()(trunk) for task in TASKS}
    return keras.Model(inputs, branches)


def make_model(mode: str | None, encoder: str, weighting: Any = None) -> Any:
    keras.utils.set_random_seed(0)
    with keras.RematScope(mode, 100, ["c"]):
        heads = {
            task: keras.Sequential(
                [
                    layers.GlobalAveragePooling2D(),
                    layers.Dense(3, "relu"),
                    layers.Dense(2),
                ]
            )
            for task in TASKS
        }
        model = keras_selfaux.SelfAuxModel(
            functional_encoder()
            if encoder == "functional"
            else BranchedEncoder([stage(), stage()]),
            heads,
        )
        model.build((None, *SIZE))
        compile_model(model, weighting=weighting or "equal")
    return model


@pytest.mark.parametrize(
    ("mode", "encoder", "learns"),
    [
        pytest.param("full", "functional", True, marks=pytest.mark.slow),
        pytest.param("full", "branched", False, marks=pytest.mark.slow),
        ("activations", "branched", False),
        pytest.param(
            "larger_than", "functional", False, marks=pytest.mark.slow
        ),
        pytest.param(
            "list_of_layers", "branched", False, marks=pytest.mark.slow
        ),
    ],
)
def test_training_under_a_scope_changes_no_number(
    mode: str, encoder: str, learns: bool
) -> None:
    results = []
    for each in (None, mode):
        # Forward mode needs no activations later, and goes without a scope.
        weighting = AutoLambda(0.01) if learns else None
        model = make_model(each, encoder, weighting)
        history = model.fit(
            *make_data(8), batch_size=4, shuffle=False, verbose=0,
            meta_data=tf.data.Dataset.from_tensors(make_data(5)),
        ).history  # fmt: skip
        results.append((model.get_weights(), model.task_weights, history))
    (weights, omega, history), (others, other_omega, wanted) = results
    for one, two in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    assert omega == pytest.approx(other_omega, rel=1e-4)
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["functional", "branched"])
def test_what_is_forgotten_is_computed_twice(encoder: str) -> None:
    def count_convolutions(mode: str | None) -> int:
        model = make_model(mode, encoder)

        @tf.function(autograph=False)
        def gradient(x: Any, y: Any) -> Any:
            theta = [tf.identity(v.value) for v in model.trainable_variables]
            with tf.GradientTape() as tape:
                tape.watch(theta)
                batch = as_batch((x, y), TASKS)
                found = _step.evaluate(model, theta, batch, clones=True)
                total = tf.reduce_sum(found.shares)
            return tape.gradient(total, theta)

        graph = gradient.get_concrete_function(*make_data(4)).graph
        return sum(op.type == "Conv2D" for op in graph.get_operations())

    modules = 1 + len(TASKS)
    assert count_convolutions(None) == modules
    # Once more, not twice: what is recomputed as a part of a stage is not
    # recomputed for itself.
    assert count_convolutions("full") == 2 * modules


def test_predicting_forgets_nothing(tmp_path: Any) -> None:
    model = make_model("full", "branched")
    x, _ = make_data(4)
    wanted = make_model(None, "branched").predict(x, verbose=0)
    for found in (
        model.predict(x, verbose=0),
        model.inference_model.predict(x, verbose=0),
    ):
        for task in TASKS:
            np.testing.assert_allclose(found[task], wanted[task], rtol=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for task, values in loaded.predict(x, verbose=0).items():
        np.testing.assert_allclose(values, wanted[task], rtol=1e-5)


@pytest.mark.slow
def test_half_precision_under_a_scope() -> None:
    losses = []
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for mode in (None, "full"):
            model = make_model(mode, "functional")
            history = model.fit(*make_data(8), verbose=0, epochs=2).history
            losses.append(history["loss"])
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


@keras.saving.register_keras_serializable("tests")
class WithLoss(layers.Layer):
    def call(self, inputs: Any) -> Any:
        self.add_loss(0.1 * keras.ops.mean(inputs**2))
        return inputs


@pytest.mark.parametrize("mode", ["full", "larger_than"])
def test_losses_precision_and_shapes_within_a_scope(mode: str) -> None:
    """Losses of layers count, and inner layers keep their own precision."""

    def train(mode: str | None) -> Any:
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode, 1):
            inputs = keras.Input((4, 2))
            hidden = keras.Sequential(
                [
                    layers.Dense(5, dtype="float32"),
                    WithLoss(),
                    layers.Reshape((20,)),
                    layers.Dense(6, dtype="mixed_bfloat16"),
                ],
                name="hidden",
            )(inputs)
            both = layers.Concatenate()([hidden, layers.Flatten()(inputs)])
            encoder = keras.Model(inputs, dict.fromkeys("ab", both))
        model = keras_selfaux.SelfAuxModel(
            encoder, {task: layers.Dense(1) for task in "ab"}
        )
        model.compile("sgd", loss="mse")
        rng = np.random.default_rng(0)
        x = rng.normal(size=(8, 4, 2)).astype("float32")
        y = dict.fromkeys("ab", x[:, :1, 0])
        history = model.fit(x, y, epochs=3, batch_size=4, verbose=0)
        return history.history["loss"], model.get_weights()

    loss, weights = train(mode)
    wanted, others = train(None)
    np.testing.assert_allclose(loss, wanted, rtol=1e-6)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
