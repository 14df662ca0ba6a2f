from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._objective import Objective
from keras_selfaux._stacking import Nodes
from keras_selfaux.losses import loss_for_task

BATCH = 4
# Two tasks of one kind, one with another loss, one with another shape.
LOSSES = {
    "a": keras.losses.MeanSquaredError(),
    "b": keras.losses.MeanSquaredError(),
    "c": keras.losses.MeanAbsoluteError(),
    "d": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
}
SIZES = {"a": 2, "b": 2, "c": 2, "d": 3}
# As a head bank gives them: by head, primaries and clones apart.
GROUPS = [
    [("a", "a"), ("c", "c"), ("b", "b")],
    [("d", "d")],
    [("c", "a"), ("a", "b"), ("b", "a"), ("a", "d")],
    [("d", "a"), ("d", "b")],
]
EDGES = [edge for group in GROUPS for edge in group]


def labels(*, missing: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y = {
        t: rng.normal(size=(BATCH, 2)).astype("float32")
        for t in ("a", "b", "c")
    }
    if missing:
        y["a"][1] = np.nan
        y["b"][:] = np.nan
    return {**y, "d": rng.integers(0, 3, BATCH)}


def predictions() -> dict[Any, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        (source, target): rng.normal(size=(BATCH, SIZES[source])).astype(
            "float32"
        )
        for source, target in EDGES
    }


def outputs(values: dict[Any, Any], *, stacked: bool) -> list[Any]:
    result = []
    for edges in GROUPS:
        items = [tf.convert_to_tensor(values[edge]) for edge in edges]
        nodes = (
            Nodes(stacked=tf.stack(items)) if stacked else Nodes(items=items)
        )
        result.append((edges, nodes))
    return result


def brute_force(
    edge: Any, y: dict[str, np.ndarray], weights: dict[str, Any]
) -> float:
    source = edge[0]
    y_true, y_pred = y[source], predictions()[edge]
    has = ~np.isnan(y_true.reshape(BATCH, -1).astype(float)).any(axis=1)
    weight = weights[source]
    if weight is not None:
        has &= weight != 0
        weight = weight[has]
    if not has.any():
        return 0.0
    return float(LOSSES[source](y_true[has], y_pred[has], weight))


NO_WEIGHTS = dict.fromkeys(LOSSES)
SOME_WEIGHTS = {
    "a": np.array([2.0, 1.0, 0.0, 0.5], "float32"),
    "b": None,
    "c": np.array([1.0, 0.0, 3.0, 1.0], "float32"),
    "d": np.array([0.0, 0.0, 0.0, 1.0], "float32"),
}


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("weights", [NO_WEIGHTS, SOME_WEIGHTS])
def test_losses_are_those_of_each_edge_alone(
    weights: dict[str, Any], missing: bool, stacked: bool
) -> None:
    y = labels(missing=missing)
    result = Objective(LOSSES)(
        outputs(predictions(), stacked=stacked), y, weights, EDGES
    )
    found = keras.ops.divide_no_nan(result.numerators, result.denominators)
    wanted = [brute_force(edge, y, weights) for edge in EDGES]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_losses_come_in_the_order_asked_for() -> None:
    y = labels(missing=True)
    order = EDGES[::-1]
    result = Objective(LOSSES)(
        outputs(predictions(), stacked=True), y, NO_WEIGHTS, order
    )
    found = keras.ops.divide_no_nan(result.numerators, result.denominators)
    wanted = [brute_force(edge, y, NO_WEIGHTS) for edge in order]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_some_edges_only() -> None:
    y = labels(missing=False)
    order = [("d", "d"), ("a", "a")]
    result = Objective(LOSSES)(
        outputs(predictions(), stacked=True), y, NO_WEIGHTS, order
    )
    assert result.numerators.shape == (2,)
    found = keras.ops.divide_no_nan(result.numerators, result.denominators)
    wanted = [brute_force(edge, y, NO_WEIGHTS) for edge in order]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_present_has_a_mask_per_edge() -> None:
    y = labels(missing=True)
    result = Objective(LOSSES)(
        outputs(predictions(), stacked=True), y, NO_WEIGHTS, EDGES
    )
    for source, target in EDGES:
        mask = result.present[source, target]
        if source == "d":  # integer labels cannot be missing
            assert mask is None
        else:
            np.testing.assert_array_equal(
                mask, ~np.isnan(y[source]).any(axis=1)
            )


def test_no_edges() -> None:
    result = Objective(LOSSES)([], labels(missing=False), NO_WEIGHTS, [])
    assert result.numerators.shape == result.denominators.shape == (0,)


def test_gradients_reach_the_predictions_of_their_own_edge() -> None:
    y = labels(missing=True)
    values = {e: tf.convert_to_tensor(p) for e, p in predictions().items()}
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = Objective(LOSSES)(
            outputs(values, stacked=True), y, NO_WEIGHTS, EDGES
        )
        loss = result.numerators[EDGES.index(("a", "b"))]
    gradients = tape.gradient(loss, values, unconnected_gradients="zero")
    for edge, gradient in gradients.items():
        assert np.any(gradient) == (edge == ("a", "b"))
    assert not np.any(gradients["a", "b"][1])  # its label is missing


# Losses that look alike.


def scaled(factor: float) -> Callable:
    def scaled_error(y_true: Any, y_pred: Any) -> Any:
        return factor * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    return scaled_error


class Scaled(keras.losses.MeanAbsoluteError):
    """A loss with a setting that its config does not show."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.factor * super().call(y_true, y_pred)


def smoothed(smoothing: float) -> keras.losses.Loss:
    return keras.losses.BinaryCrossentropy(label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (scaled(1.0), scaled(10.0)),  # two functions of one name
        (Scaled(1.0), Scaled(10.0)),
        (smoothed(0.0), smoothed(0.5)),
        (keras.losses.Huber(0.1), keras.losses.Huber(3.0)),
        ("mse", "mae"),
        (
            keras.losses.MeanSquaredError(reduction="sum"),
            keras.losses.MeanSquaredError(),
        ),
        (
            lambda y, p: keras.ops.mean(p, axis=-1),
            lambda y, p: keras.ops.mean(2 * p, axis=-1),
        ),
    ],
    ids=[
        "functions",
        "subclasses",
        "configs",
        "huber",
        "names",
        "reductions",
        "lambdas",
    ],
)
def test_every_task_has_its_own_loss(first: Any, second: Any) -> None:
    losses = {"a": loss_for_task(first, "a"), "b": loss_for_task(second, "b")}
    y = np.full((BATCH, 1), 1.0, "float32")
    y_pred = np.full((BATCH, 1), 0.25, "float32")
    edges = [("a", "a"), ("b", "b")]
    result = Objective(losses)(
        [(edges, Nodes(stacked=np.stack([y_pred, y_pred])))],
        {"a": y, "b": y},
        {"a": None, "b": None},
        edges,
    )
    found = np.array(result.numerators) / np.array(result.denominators)
    wanted = [float(losses[task](y, y_pred)) for task in ("a", "b")]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert wanted[0] != pytest.approx(wanted[1])


def test_equal_losses_are_computed_at_once() -> None:
    calls = []

    @keras.saving.register_keras_serializable("tests")
    class Counted(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            calls.append(y_pred.shape[0])
            return keras.ops.mean(y_true - y_pred, axis=-1)

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

    edges = [("a", "a"), ("b", "b"), ("a", "b")]
    y = np.zeros((BATCH, 1), "float32")
    Objective({"a": Counted(), "b": Counted()})(
        [(edges, Nodes(stacked=np.zeros((3, BATCH, 1), "float32")))],
        {"a": y, "b": y},
        {"a": None, "b": None},
        edges,
    )
    assert calls == [3 * BATCH]
