"""`fit`, `evaluate` and `train_on_batch` with all that they accept."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import TASKS, compile_model, make_data, make_model


class Batches(keras.utils.PyDataset):
    """The shared data as a `PyDataset` of three batches."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        x, y = make_data()
        rows = slice(8 * index, 8 * index + 8)
        return x[rows], {task: values[rows] for task, values in y.items()}


def as_dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(make_data()).batch(8)


def as_arrays() -> Any:
    return make_data()


FORMS = [as_arrays, as_dataset, Batches]


@pytest.mark.parametrize(
    ("train", "meta"),
    [
        pytest.param(
            # Each form once on either side, always.
            train,
            meta,
            marks=[] if (j - i) % 3 == 1 else [pytest.mark.slow],
        )
        for i, train in enumerate(FORMS)
        for j, meta in enumerate(FORMS)
    ],
)
def test_any_data_pairs_with_any_meta_data(train: Any, meta: Any) -> None:
    model = make_model()
    compile_model(model, weighting="auto_lambda", run_eagerly=True)
    data = train()
    arguments = (
        {"x": data[0], "y": data[1], "batch_size": 8}
        if isinstance(data, tuple)
        else {"x": data}
    )
    model.fit(**arguments, epochs=2, verbose=0, meta_data=meta())
    assert int(model.optimizer.iterations) == 6
    assert len(set(model.task_weights.values())) > 1


def test_meta_data_shorter_than_an_epoch_are_repeated() -> None:
    x, y = make_data(48)
    meta = make_data(4)
    model = make_model()
    compile_model(model, weighting="auto_lambda")
    model.fit(x, y, batch_size=8, verbose=0, meta_data=meta)
    assert int(model.optimizer.iterations) == 6


def test_validation_split_holds_the_last_samples_out() -> None:
    x, y = make_data()
    split = (x[18:], {task: values[18:] for task, values in y.items()})
    model = make_model()
    compile_model(model, weighting="auto_lambda")
    history = model.fit(
        x, y, batch_size=6, validation_split=0.25, verbose=0, meta_data=split
    ).history
    assert int(model.optimizer.iterations) == 3
    wanted = model.evaluate(*split, verbose=0, return_dict=True)
    assert history["val_loss"][-1] == pytest.approx(wanted["loss"], rel=1e-5)


def test_weightings_that_need_no_meta_data_ignore_them() -> None:
    model = make_model()
    compile_model(model)
    model.fit(*make_data(), verbose=0, meta_data=make_data())
    assert int(model.optimizer.iterations) == 1


def test_evaluation_does_not_depend_on_the_batch_size() -> None:
    x, y = make_data(25)
    model = make_model()
    compile_model(model, metrics=["mae", keras.metrics.RootMeanSquaredError()])
    results = [
        model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)
        for size in (1, 7, 25)
    ]
    assert results[0] == pytest.approx(results[2], rel=1e-5)
    assert results[1] == pytest.approx(results[2], rel=1e-5)
    predictions = model.predict(x, verbose=0)
    for task in TASKS:
        rows = ~np.isnan(y[task][:, 0])
        error = y[task][rows] - predictions[task][rows]
        found = results[2]
        assert found[f"{task}_loss"] == pytest.approx((error**2).mean())
        assert found[f"{task}_mae"] == pytest.approx(np.abs(error).mean())
        name = f"{task}_root_mean_squared_error"
        assert found[name] == pytest.approx(np.sqrt((error**2).mean()))
    total = sum(found[f"{task}_loss"] for task in TASKS)
    assert found["loss"] == pytest.approx(total)


def test_training_loss_counts_clones_and_weights() -> None:
    model = make_model()
    weights = {"a": 0.5, ("b", "a"): 0.25}
    compile_model(model, weighting=keras_selfaux.weightings.Static(weights))
    assert model.task_weights["a", "b"] == 0.5
    assert model.task_weights["b", "a"] == 0.25
    assert model.task_weights["c", "c"] == 1.0
    data = make_data()
    evaluated = model.evaluate(*data, verbose=0, return_dict=True)
    trained = model.train_on_batch(*data, return_dict=True)
    assert trained["a_loss"] == pytest.approx(evaluated["a_loss"], rel=1e-5)
    assert trained["loss"] > evaluated["loss"]


def test_learning_rate_schedule_reaches_the_hypergradient() -> None:
    """With a learning rate of 0 the virtual step, and so ω, stays."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [0.0, 0.1]
    )
    model = make_model()
    compile_model(
        model, keras.optimizers.SGD(schedule), weighting=AutoLambda(0.01)
    )
    seen = []
    for _ in range(3):
        model.train_on_batch(*make_data(), meta_data=make_data(30))
        seen.append(list(model.task_weights.values()))
    assert seen[0] == pytest.approx([0.1] * 9)
    assert seen[2] != pytest.approx([0.1] * 9, rel=1e-3)


def test_an_encoder_without_input_shape_is_built_by_the_data() -> None:
    encoder = keras_selfaux.layers.BranchedEncoder(
        [keras.layers.Dense(3), keras.layers.Dense(3)]
    )
    model = keras_selfaux.SelfAuxModel(
        encoder, {task: keras.layers.Dense(2) for task in TASKS}
    )
    compile_model(model, weighting="auto_lambda")
    assert not model.built
    model.fit(*make_data(), epochs=2, verbose=0, meta_data=make_data())
    assert model.count_params() > 0
    assert model.optimizer.built


def test_one_task_trains_as_any_model() -> None:
    encoder = keras_selfaux.layers.BranchedEncoder([keras.layers.Dense(3)], 0)
    model = keras_selfaux.SelfAuxModel(encoder, {"a": keras.layers.Dense(1)})
    model.compile("sgd", loss="mse", metrics=["mae"], weighting="auto_lambda")
    x = np.ones((1, 4), "float32")  # a batch of one
    y = np.ones((1, 1), "float32")
    model.fit(x, y, verbose=0, meta_data=(x, y))
    assert model.transfer_graph.edges == ()
    assert model.predict(x, verbose=0)["a"].shape == (1, 1)


@pytest.mark.slow
def test_tasks_of_different_kinds_train_together() -> None:
    """Classes with an ignored one, a vector, and a binary label."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 4)).astype("float32")
    classes = rng.integers(3, size=12)
    classes[::4] = 255
    y = {
        "kind": classes,
        "size": rng.normal(size=12).astype("float32"),
        "sign": rng.integers(2, size=(12, 1)),
    }
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "relu")(inputs)
    encoder = keras.Model(
        inputs, {task: keras.layers.Dense(4)(hidden) for task in y}
    )
    model = keras_selfaux.SelfAuxModel(
        encoder,
        {
            "kind": keras.layers.Dense(3),
            "size": keras.layers.Dense(1),
            "sign": keras.layers.Dense(1, "sigmoid"),
        },
    )
    model.compile(
        "adam",
        loss={
            "kind": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=255
            ),
            "size": "mse",
            "sign": "binary_crossentropy",
        },
        metrics={"kind": ["accuracy"], "sign": ["accuracy"]},
        weighting="auto_lambda",
    )
    history = model.fit(x, y, epochs=2, verbose=0, meta_data=(x, y)).history
    assert all(np.isfinite(values).all() for values in history.values())
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    rows = classes != 255
    predicted = model.predict(x, verbose=0)["kind"].argmax(-1)
    accuracy = (predicted == classes)[rows].mean()
    assert found["kind_accuracy"] == pytest.approx(accuracy)


def test_summary_says_what_export_keeps_and_drops() -> None:
    lines: list[str] = []
    model = make_model()
    model.summary(print_fn=lambda text, line_break=None: lines.append(text))
    text = "\n".join(lines)
    kept = model.inference_model.count_params()
    dropped = model.count_params() - kept
    assert "Tasks: a, b, c" in text
    assert "Self-auxiliaries: 6" in text
    assert "Encoder: 1 copy of Dense" in text
    assert "Heads: 3 copies of Dense in one product" in text
    assert "Clones: 6 copies of Dense in one product" in text
    assert f"Parameters kept at export: {kept:,}" in text
    assert f"Parameters discarded at export: {dropped:,}" in text
    assert dropped == 6 * (5 * 2 + 2)
