"""The metrics of dense prediction in a model, missing labels left out."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.dense import (
    OUTPUTS,
    make_images,
    make_labels,
    make_losses,
    make_model,
)
from tests.metrics.dense_cases import KERAS, OURS, tolerance, wanted_result
from tests.replicas import two_replicas

COUNT = 7


def make_metrics() -> dict[str, list[Any]]:
    metrics: dict[str, list[Any]] = {task: [] for task in OUTPUTS}
    for task, make, _ in (*OURS.values(), *KERAS.values()):
        metrics[task].append(make())
    return metrics


def assert_results(
    logs: dict[str, float], y: dict[str, Any], outputs: dict[str, Any]
) -> None:
    for name, (task, _, _) in {**OURS, **KERAS}.items():
        wanted = wanted_result(name, y[task], outputs[task])
        assert logs[f"{task}_{name}"] == pytest.approx(
            wanted, **tolerance(name)
        ), name


@pytest.mark.parametrize(
    "jit", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_in_a_models_evaluation(jit: bool) -> None:
    model = make_model()
    model.compile(
        "sgd", loss=make_losses(), metrics=make_metrics(), jit_compile=jit
    )
    x, y = make_images(COUNT), make_labels(COUNT)
    logs = model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
    assert {"normal_within_11.25", "seg_mean_iou"} < logs.keys()
    assert_results(logs, y, model.predict(x, verbose=0))


@pytest.mark.slow
def test_two_replicas_add_up() -> None:
    with two_replicas().scope():
        model = make_model()
        model.compile("sgd", loss=make_losses(), metrics=make_metrics())
    x, y = make_images(COUNT), make_labels(COUNT)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert_results(logs, y, {t: np.array(v) for t, v in model(x).items()})


@pytest.mark.slow
def test_metrics_are_saved_with_the_model(tmp_path: pathlib.Path) -> None:
    model = make_model()
    model.compile("sgd", loss=make_losses(), metrics=make_metrics())
    x, y = make_images(COUNT), make_labels(COUNT)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    wanted, found = (
        each.evaluate(x, y, verbose=0, return_dict=True)
        for each in (model, loaded)
    )
    assert found == pytest.approx(wanted, rel=1e-6)
