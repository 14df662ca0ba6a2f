from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux._compile import (
    given_metrics,
    loss_weights_by_task,
    losses_by_task,
    metrics_by_task,
    optimizer_of,
)
from keras_selfaux.losses import loss_for_task

TASKS = ("seg", "depth")


# Losses.


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        keras.losses.MeanSquaredError(),
        keras.losses.serialize(keras.losses.MeanSquaredError()),
        ["mse", "mse"],
        {"depth": "mse", "seg": "mse"},
        {"seg": keras.losses.MeanSquaredError(), "depth": "mse"},
    ],
)
def test_every_task_has_a_loss_in_the_order_of_the_tasks(loss: Any) -> None:
    losses = losses_by_task(loss, TASKS)
    assert tuple(losses) == TASKS
    for found in losses.values():
        assert isinstance(found, keras.losses.Loss)
        assert float(found([[3.0]], [[1.0]])) == 4.0


def test_lists_of_losses_follow_the_tasks() -> None:
    losses = losses_by_task(["mse", "mae"], TASKS)
    assert float(losses["seg"]([[3.0]], [[0.0]])) == 9.0
    assert float(losses["depth"]([[3.0]], [[0.0]])) == 3.0


def test_no_loss() -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss` is missing. Received: loss=None. Pass one loss for all "
        r"tasks, or a dict by task",
    ):
        losses_by_task(None, TASKS)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"seg": "mse"}, r"missing: \['depth'\], unknown: \[\]"),
        (
            {"seg": "mse", "dept": "mse"},
            r"missing: \['depth'\], unknown: \['dept'\]",
        ),
        ({}, r"missing: \['depth', 'seg'\]"),
    ],
)
def test_losses_of_other_tasks(loss: Any, message: str) -> None:
    with pytest.raises(
        ValueError, match=r"`loss` must have one entry per task .*" + message
    ):
        losses_by_task(loss, TASKS)


@pytest.mark.parametrize("loss", [["mse"], ["mse"] * 3, []])
def test_lists_of_losses_of_another_length(loss: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss` must have one entry per task. Received: \d entries for "
        r"2 tasks. Pass a dict by task, \['seg', 'depth'\]",
    ):
        losses_by_task(loss, TASKS)


def test_a_loss_that_cannot_be_used_names_its_task() -> None:
    with pytest.raises(ValueError, match="`loss` of task 'depth' cannot be"):
        losses_by_task({"seg": "mse", "depth": "nonsense"}, TASKS)


def test_a_task_without_a_loss() -> None:
    with pytest.raises(ValueError, match="`loss` of task 'depth' cannot be"):
        losses_by_task({"seg": "mse", "depth": None}, TASKS)


# Loss weights.


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, {"seg": 1.0, "depth": 1.0}),
        (3, {"seg": 3.0, "depth": 3.0}),
        ([2, 0.5], {"seg": 2.0, "depth": 0.5}),
        ((0.0, 1), {"seg": 0.0, "depth": 1.0}),
        ({"depth": 0.5}, {"seg": 1.0, "depth": 0.5}),
        ({}, {"seg": 1.0, "depth": 1.0}),
    ],
)
def test_loss_weights(given: Any, wanted: dict[str, float]) -> None:
    found = loss_weights_by_task(given, TASKS)
    assert list(found.items()) == list(wanted.items())
    assert all(type(weight) is float for weight in found.values())


def test_loss_weights_of_other_tasks() -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss_weights` names tasks that the model does not have. "
        r"Received: \['dept'\]. Use the names \['seg', 'depth'\]",
    ):
        loss_weights_by_task({"dept": 1.0}, TASKS)


@pytest.mark.parametrize("given", [[1.0], [1.0, 2.0, 3.0]])
def test_lists_of_loss_weights_of_another_length(given: Any) -> None:
    with pytest.raises(
        ValueError, match="`loss_weights` must have one entry per task"
    ):
        loss_weights_by_task(given, TASKS)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), None, "1"])
def test_loss_weights_that_are_none(weight: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss_weights\['depth'\]` must be zero or a positive number",
    ):
        loss_weights_by_task({"depth": weight}, TASKS)


@pytest.mark.parametrize(
    "given", [np.float32(0.5), np.float64(0.5), {"seg": np.float32(0.5)}]
)
def test_loss_weights_may_be_numbers_of_numpy(given: Any) -> None:
    found = loss_weights_by_task(given, TASKS)
    assert found["seg"] == 0.5
    assert type(found["seg"]) is float


# Metrics.


@pytest.mark.parametrize("metrics", [None, [], {}])
def test_no_metrics(metrics: Any) -> None:
    assert metrics_by_task(metrics, TASKS) == {}


def test_metrics_by_task_are_kept() -> None:
    metric = keras.metrics.MeanSquaredError()
    found = metrics_by_task({"depth": metric, "seg": ["mae", "mse"]}, TASKS)
    assert found == {"depth": [metric], "seg": ["mae", "mse"]}


@pytest.mark.parametrize("many", [True, False])
def test_metrics_for_all_tasks_are_copies(many: bool) -> None:
    metric = keras.metrics.MeanSquaredError(name="error")
    found = metrics_by_task([metric] if many else metric, TASKS)
    assert list(found) == list(TASKS)
    # Each keeps a state: two tasks must not share one.
    assert found["seg"][0] is not found["depth"][0]
    for metrics in found.values():
        assert type(metrics[0]) is keras.metrics.MeanSquaredError
        assert metrics[0].name == "error"


def test_names_of_metrics_for_all_tasks() -> None:
    assert metrics_by_task("mae", TASKS) == {"seg": ["mae"], "depth": ["mae"]}


def test_a_config_of_a_metric_for_all_tasks() -> None:
    config = keras.metrics.serialize(
        keras.metrics.BinaryAccuracy(threshold=0.2)
    )
    for given in (config, [config], {"seg": config, "depth": [config]}):
        found = metrics_by_task(given, TASKS)
        assert found["seg"][0] is not found["depth"][0]
        for [metric] in found.values():
            assert metric.get_config() == config["config"]


def test_a_task_without_metrics() -> None:
    found = metrics_by_task({"seg": None, "depth": "mae"}, TASKS)
    assert found == {"seg": [], "depth": ["mae"]}


def test_metrics_that_were_given_as_objects() -> None:
    metric = keras.metrics.MeanSquaredError()
    assert given_metrics([None, {"seg": [metric, "mae"]}]) == [metric]
    assert given_metrics([[metric], "mse"]) == [metric]


def test_metrics_of_other_tasks() -> None:
    with pytest.raises(
        ValueError,
        match=r"`metrics` names tasks that the model does not have. "
        r"Received: \['dept'\]",
    ):
        metrics_by_task({"dept": "mae"}, TASKS)


@pytest.mark.parametrize("name", ["Acc", "ACC", "Accuracy", "accuracy"])
def test_names_by_shape_in_any_case(name: str) -> None:
    assert metrics_by_task({"seg": [name]}, TASKS) == {"seg": [name]}


def test_what_is_no_fault_of_the_arguments() -> None:
    class Config(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise MemoryError

    config = Config(class_name="Adam", config={})
    with pytest.raises(MemoryError):
        optimizer_of(config)
    with pytest.raises(MemoryError):
        loss_for_task(config, "a")
    with pytest.raises(MemoryError):
        metrics_by_task({"seg": [config]}, TASKS)
