"""`CompiledMetrics`: grouping, names, and metrics that users hold."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux._compile import given_metrics, metrics_by_task
from keras_selfaux.metrics import CompiledMetrics, Samples

TASKS = ["c", "a", "b"]
BATCH = 5


def keras_container() -> Any:
    """Returns Keras's class for the metrics of `compile`."""
    model = keras.Sequential()
    model.compile(metrics=[])
    return type(model._compile_metrics)


def error_of_all(y_true: Any, y_pred: Any) -> Any:
    """A user's metric."""
    return keras.ops.abs(y_true - y_pred)


def make(
    metrics: Any, weighted_metrics: Any = None, tasks: Any = TASKS
) -> CompiledMetrics:
    return CompiledMetrics(
        keras_container(),
        metrics_by_task(metrics, tasks),
        metrics_by_task(weighted_metrics, tasks),
        tasks,
        kept=given_metrics([metrics, weighted_metrics]),
    )


def values(seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    labels = {t: rng.integers(0, 2, (BATCH, 1)).astype("f") for t in TASKS}
    return labels, {t: rng.uniform(size=(BATCH, 1)).astype("f") for t in TASKS}


def samples(seed: int = 0, weights: Any = None, tasks: Any = TASKS) -> Samples:
    labels, predictions = values(seed)
    weights = weights or dict.fromkeys(tasks)
    return Samples(
        {task: labels[task] for task in tasks},
        {task: predictions[task] for task in tasks},
        weights,
        lambda chosen: keras.ops.ones((len(chosen), BATCH), "bool"),
    )


def results(metrics: Any) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.result().items()}


WEIGHTS = {
    task: np.linspace(0.5, 2.0, BATCH, dtype="f") * (1 + i)
    for i, task in enumerate(TASKS)
}
SETS: dict[str, tuple[Any, Any]] = {
    "name": ("mae", None),
    "names": (["mae", "mse"], None),
    "class": (keras.metrics.MeanAbsoluteError, None),
    "object": (keras.metrics.MeanAbsoluteError(name="error"), None),
    "config": (keras.metrics.serialize(keras.metrics.Poisson()), None),
    "function": (keras.losses.mean_absolute_error, None),
    "own_function": (error_of_all, None),
    "accuracy": (["accuracy", "AUC"], None),
    "by_task": ({"a": ["mae", "mse"], "b": "mse"}, None),
    "by_position": ([["mae"], ["mse", "mae"], []], None),
    "objects_by_task": (
        {task: [keras.metrics.MeanSquaredError()] for task in TASKS},
        None,
    ),
    "twice": (["mae", "mae"], None),
    "weighted": (None, ["mae", "AUC"]),
    "both": (["mae"], ["mae", "mse"]),
    "both_twice": (["mae"], ["mae", "mae"]),
}


@pytest.mark.parametrize("name", SETS)
def test_names_and_values_are_those_of_keras(name: str) -> None:
    metrics, weighted_metrics = SETS[name]
    ours = make(metrics, weighted_metrics)
    theirs = keras_container()(
        metrics_by_task(metrics, TASKS) or None,
        metrics_by_task(weighted_metrics, TASKS) or None,
        output_names=TASKS,
    )
    for seed in range(2):
        ours.update_state(samples(seed, WEIGHTS))
    # One after the other: metrics given by task are the same objects.
    found = results(ours)
    ours.reset_state()
    for seed in range(2):
        theirs.update_state(*values(seed), WEIGHTS)
    wanted = results(theirs)
    assert list(found) == list(wanted)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_single_task_gives_its_name_to_no_metric() -> None:
    metrics = make(["mae", "accuracy"], tasks=["a"])
    metrics.update_state(samples(tasks=["a"]))
    assert list(results(metrics)) == ["mae", "accuracy"]


@pytest.mark.parametrize(
    ("metrics", "weighted", "stacks", "variables"),
    [
        (["mae"], None, [3], 2),
        (["mae", "mse", "AUC"], None, [3, 3], 2 * 2 + 3 * 4),
        (["mae"], ["mae"], [3, 3], 4),
        ({"a": ["mae"], "b": ["mean_absolute_error"]}, None, [2], 2),
        ({"a": ["mae"], "b": ["mse"]}, None, [], 4),
        ([["mae", "mse"], [], ["mse"]], None, [2], 4),
        (keras.metrics.BinaryAccuracy(threshold=0.2), None, [3], 2),
        (error_of_all, None, [], 6),
    ],
)
def test_equal_means_are_one_metric(
    metrics: Any, weighted: Any, stacks: list[int], variables: int
) -> None:
    compiled = make(metrics, weighted)
    compiled.update_state(samples())
    assert [len(stack.tasks) for stack in compiled._stacks] == stacks
    assert len(compiled.variables) == variables


def test_shapes_tell_means_apart() -> None:
    labels, predictions = values()
    labels["a"], predictions["a"] = np.ones((2, BATCH, 3), "f")
    compiled = make(["mae", "accuracy"])
    compiled.update_state(
        Samples(labels, predictions, WEIGHTS, lambda tasks: None)
    )
    assert [stack.tasks for stack in compiled._stacks] == [["c", "b"]] * 2
    assert [single.task for single in compiled._singles] == ["a", "a"]


def test_metrics_given_by_task_keep_their_state() -> None:
    held = {task: keras.metrics.MeanSquaredError() for task in TASKS}
    compiled = make({task: [held[task], "mse"] for task in TASKS})
    compiled.update_state(samples())
    found = results(compiled)
    for task in TASKS:
        wanted = found[f"{task}_mean_squared_error"]
        assert float(held[task].result()) == wanted > 0
        assert found[f"{task}_mse"] == pytest.approx(wanted, rel=1e-6)
    assert len(compiled.metrics) == 1 + len(TASKS)


def test_metrics_given_for_all_tasks_are_left_alone() -> None:
    held = keras.metrics.MeanSquaredError()
    compiled = make(held)
    compiled.update_state(samples())
    assert float(held.result()) == 0.0


def test_reset_forgets_everything() -> None:
    compiled = make(["mae", error_of_all], ["mse"])
    compiled.update_state(samples())
    assert all(results(compiled).values())
    compiled.reset_state()
    assert not any(results(compiled).values())


def test_no_metrics() -> None:
    compiled = make(None)
    compiled.update_state(samples())
    assert compiled.built
    assert compiled.result() == {}
    assert compiled.variables == []


def test_state_is_float32_in_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    compiled = make(["mae"])
    labels, predictions = values()
    half = {
        task: value.astype("float16") for task, value in predictions.items()
    }
    compiled.update_state(Samples(labels, half, WEIGHTS, lambda tasks: None))
    assert {v.dtype for v in compiled.variables} == {"float32"}


def test_a_metric_that_cannot_be_used_names_its_task() -> None:
    with pytest.raises(ValueError, match="A metric of task 'a' cannot be used"):
        make({"a": ["nonsense"]})


class Faulty(keras.metrics.Mean):
    def update_state(self, *args: Any) -> None:
        self.margn  # noqa: B018  (a slip of the pen)


def faulty(y_true: Any, y_pred: Any) -> Any:
    return y_pred.margn


@pytest.mark.parametrize(
    ("metric", "name"), [(Faulty(name="own"), "own"), (faulty, "faulty")]
)
def test_a_fault_of_the_users_own_is_told_as_it_is(
    metric: Any, name: str
) -> None:
    with pytest.raises(AttributeError, match="margn") as found:
        make({"a": [metric]}).update_state(samples())
    assert found.value.__notes__ == [f"In metric {name!r} of task 'a'."]
    assert found.traceback[-1].name in {"update_state", "faulty"}


def test_a_metric_of_keras_that_does_not_fit_names_its_task() -> None:
    metric = keras.metrics.MeanMetricWrapper(
        keras.losses.cosine_similarity, axis=7
    )
    compiled = make({"a": [metric]})
    with pytest.raises(ValueError, match="of task 'a' cannot be computed of"):
        compiled.update_state(samples())
