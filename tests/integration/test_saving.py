"""Saving, loading, going on, and exporting without the clones."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import (
    TASKS,
    assert_same_weights,
    compile_model,
    make_data,
    make_model,
)


def functional_model() -> keras_selfaux.SelfAuxModel:
    """A model with a functional encoder, a loop over heads, and dropout."""
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(6, "relu")(inputs)
    trunk = keras.layers.BatchNormalization()(trunk)
    encoder = keras.Model(
        inputs, {task: keras.layers.Dense(5)(trunk) for task in TASKS}
    )
    heads = {
        task: keras.Sequential(
            [
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(2),
            ]
        )
        for task in TASKS
    }
    return keras_selfaux.SelfAuxModel(encoder, heads, [("a", "b"), ("c", "b")])


def branched_model() -> keras_selfaux.SelfAuxModel:
    return make_model(dropout=0.2)


MODELS = [branched_model, functional_model]


def train(model: keras.Model, epochs: int) -> None:
    model.fit(
        *make_data(),
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        # One batch of meta data: they are shuffled, so more would differ.
        meta_data=tf.data.Dataset.from_tensor_slices(make_data(9)).batch(9),
    )


@pytest.mark.parametrize(
    "make",
    [branched_model, pytest.param(functional_model, marks=pytest.mark.slow)],
)
def test_going_on_after_loading_equals_never_having_stopped(
    make: Any, tmp_path: pathlib.Path
) -> None:
    model = make()
    compile_model(model, "adam", weighting=AutoLambda(0.01), metrics=["mae"])
    train(model, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.transfer_graph == model.transfer_graph
    assert loaded.task_weights == model.task_weights
    for value, wanted in zip(
        loaded.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(value, wanted)
    train(model, 2)
    train(loaded, 2)
    for value, wanted in zip(
        loaded.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(value, wanted, atol=1e-6)
    for edge, weight in model.task_weights.items():
        assert loaded.task_weights[edge] == pytest.approx(weight, rel=1e-6)


def test_what_compile_was_given_survives_loading(
    tmp_path: pathlib.Path,
) -> None:
    model = make_model()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        loss={
            "a": keras.losses.LogCosh(),
            "b": "mae",
            "c": keras.losses.mean_squared_error,
        },
        loss_weights={"a": 2.0},
        metrics={"a": [keras.metrics.MeanSquaredError(name="error")]},
        weighting=keras_selfaux.weightings.Static(
            {("a", "b"): 0.5, "c": 2.0}, normalize="branch"
        ),
    )
    model.train_on_batch(*make_data())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.task_weights == model.task_weights
    results = [
        m.evaluate(*make_data(), verbose=0, return_dict=True)
        for m in (model, loaded)
    ]
    assert results[0] == pytest.approx(results[1])
    assert "a_error" in results[1]


def test_weights_file_brings_back_weights_and_task_weights(
    tmp_path: pathlib.Path,
) -> None:
    model, other = make_model(), make_model()
    for each in (model, other):
        compile_model(each, weighting=AutoLambda(0.01))
    train(model, 1)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same_weights(model, other, 0)
    assert other.task_weights == model.task_weights


@pytest.mark.parametrize(
    "make",
    [branched_model, pytest.param(functional_model, marks=pytest.mark.slow)],
)
def test_export_answers_alike_without_the_clones(
    make: Any, tmp_path: pathlib.Path
) -> None:
    model = make()
    compile_model(model, weighting="auto_lambda")
    train(model, 1)
    x = make_data()[0]
    model.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1"))
    answers = served.serve(x)
    for task, wanted in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[task], wanted, atol=1e-5)
    parameters = sum(int(np.prod(v.shape)) for v in served.variables)
    plain = model.inference_model
    assert parameters == plain.count_params() + _seed_parameters(served)
    encoder_and_primaries = model.count_params() - (
        model.head_bank.num_clone_parameters
    )
    assert plain.count_params() == encoder_and_primaries


def _seed_parameters(served: Any) -> int:
    """Dropout's generators are variables too, though not parameters."""
    return sum(2 for v in served.variables if "seed" in v.name)


def test_inference_model_needs_nothing_of_this_package(
    tmp_path: pathlib.Path,
) -> None:
    model = make_model()
    plain = model.inference_model
    modules = {type(layer).__module__ for layer in plain.layers}
    assert not [m for m in modules if m.startswith("keras_selfaux")]
    assert set(plain.output) == set(TASKS)


def test_inference_model_is_a_snapshot() -> None:
    x = make_data()[0]
    model = make_model()
    compile_model(model)
    plain = model.inference_model
    before = plain.predict(x, verbose=0)
    model.fit(*make_data(), verbose=0)
    after = plain.predict(x, verbose=0)
    for task in TASKS:
        np.testing.assert_array_equal(before[task], after[task])


def test_a_shared_module_stays_shared_in_the_inference_model() -> None:
    """Module 0 of the last stage reads two different inputs."""
    model = make_model(paths={"a": [0, 0], "b": [1, 0], "c": [1, 1]})
    plain = model.inference_model
    clones = model.head_bank.num_clone_parameters
    assert plain.count_params() == model.count_params() - clones
    x = make_data()[0]
    for task, wanted in model.predict(x, verbose=0).items():
        answers = plain.predict(x, verbose=0)[task]
        np.testing.assert_allclose(answers, wanted, atol=1e-6)


def test_encoder_layers_may_be_named_like_tasks() -> None:
    inputs = keras.Input((4,), name="x")
    encoder = keras.Model(
        inputs, {t: keras.layers.Dense(3, name=t)(inputs) for t in TASKS}
    )
    heads = {t: keras.layers.Dense(2) for t in TASKS}
    model = keras_selfaux.SelfAuxModel(encoder, heads)
    x = make_data()[0]
    answers = model.inference_model.predict(x, verbose=0)
    for task, wanted in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[task], wanted, atol=1e-6)


def test_inputs_by_name_survive_export(tmp_path: pathlib.Path) -> None:
    """A dict of inputs, read by a functional first stage."""
    inputs = {n: keras.Input((2,), name=n) for n in ("left", "right")}
    first = keras.Model(inputs, keras.layers.Add()(list(inputs.values())))
    encoder = keras_selfaux.layers.BranchedEncoder(
        [first, keras.layers.Dense(3)], 1
    )
    heads = {t: keras.layers.Dense(2) for t in TASKS}
    model = keras_selfaux.SelfAuxModel(encoder, heads)
    x = make_data()[0]
    data = {"left": x[:, :2], "right": x[:, 2:]}
    wanted = model.predict(data, verbose=0)
    model.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1"))
    answers = served.serve(data)
    for task in TASKS:
        np.testing.assert_allclose(answers[task], wanted[task], atol=1e-5)
