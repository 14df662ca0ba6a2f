"""The metrics of a compiled model, stacked, against the same one by one."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.integration.models import TASKS, compile_model, make_data, make_model
from tests.replicas import two_replicas


def one_by_one() -> dict[str, Any]:
    return {
        task: [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.RootMeanSquaredError(name="rmse"),
        ]
        for task in TASKS
    }


def at_once() -> list[Any]:
    return ["mae", keras.metrics.RootMeanSquaredError(name="rmse")]


def histories(*models: keras.Model, epochs: int = 2) -> list[dict[str, Any]]:
    x, y = make_data()
    weights = {t: np.linspace(0.5, 2.0, len(x), dtype="f") for t in TASKS}
    return [
        model.fit(
            x,
            y,
            sample_weight=weights,
            validation_data=make_data(9),
            batch_size=8,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        ).history
        for model in models
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param(
            {"jit_compile": True, "steps_per_execution": 2},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["plain", "jit"],
)
def test_histories_are_those_of_metrics_one_by_one(
    settings: dict[str, Any],
) -> None:
    stacked, looped = make_model(), make_model()
    looped.set_weights(stacked.get_weights())
    for model, metrics in ((stacked, at_once), (looped, one_by_one)):
        compile_model(
            model, metrics=metrics(), weighted_metrics=metrics(), **settings
        )
    found, wanted = histories(stacked, looped)
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name] == pytest.approx(values, rel=1e-4), name
    assert {"a_mae", "a_weighted_mae", "val_c_rmse"} <= found.keys()
    assert found["a_mae"] != found["a_weighted_mae"]
    # A stack has a sum and a count; with LossTracker's eight.
    assert len(stacked.metrics_variables) == 8 + 2 * 2 * 2
    assert stacked.metrics_names == ["loss_tracker", "compile_metrics"]
    assert stacked.metrics_names == looped.metrics_names


def test_results_can_be_asked_for_between_batches() -> None:
    model = make_model()
    compile_model(model, metrics=["mae"])
    logs = model.train_on_batch(*make_data(), return_dict=True)
    results = model.get_metrics_result()
    for name in ("a_mae", "b_mae", "c_mae"):
        assert float(results[name]) == pytest.approx(float(logs[name]))
    model.reset_metrics()
    assert float(model.get_metrics_result()["a_mae"]) == 0.0


@pytest.mark.slow
def test_saved_models_go_on_with_the_same_metrics(
    tmp_path: pathlib.Path,
) -> None:
    model = make_model()
    compile_model(model, metrics=at_once(), weighted_metrics=["mse"])
    model.train_on_batch(*make_data())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    wanted, found = (
        each.evaluate(*make_data(), verbose=0, return_dict=True)
        for each in (model, loaded)
    )
    assert found == pytest.approx(wanted, rel=1e-6)
    assert len(loaded.metrics_variables) == len(model.metrics_variables)


def test_replicas_add_up() -> None:
    strategy = two_replicas()
    single = make_model()
    with strategy.scope():
        mirrored = make_model()
        compile_model(mirrored, metrics=at_once())
    mirrored.set_weights(single.get_weights())
    compile_model(single, metrics=at_once())
    x, y = make_data()
    y["a"][:14] = np.nan  # all labels of this task on the second replica
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(24)
    wanted, found = (
        model.evaluate(data, verbose=0, return_dict=True)
        for model in (single, mirrored)
    )
    assert found == pytest.approx(wanted, rel=1e-4)
