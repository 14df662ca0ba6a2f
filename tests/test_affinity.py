"""What a measurement gives, against numbers by hand and by brute force."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_selfaux
from keras_selfaux._affinity import measure, plan_of_primaries
from keras_selfaux._execution import compiled
from keras_selfaux.layers import BranchedEncoder
from tests.integration.models import (
    TASKS,
    compile_model,
    copy_weights,
    make_data,
    make_model,
)

RATE = 0.1
# Partly shared: a and b go together further than c.
TABLE = {"a": [0, 0], "b": [0, 0], "c": [0, 1]}


def measured(
    model: Any,
    data: Any,
    meta_data: Any = None,
    *,
    rate: float = RATE,
    exact: bool = True,
    run: Any = lambda model, function: function,
) -> list[Any]:
    """Returns the exact, the first-order form and the cosines."""
    plan = plan_of_primaries(model)

    def function(data: Any, meta_data: Any) -> Any:
        return measure(model, plan, data, meta_data, rate, exact=exact)

    found = run(model, function)(data, meta_data)
    return [None if v is None else np.asarray(v, "float64") for v in found]


def plain_losses(model: Any, data: Any, weights: Any = None) -> np.ndarray:
    """The mean squared errors in training mode, missing labels left out."""
    x, y = data
    predictions = model(x, training=True)
    return np.array(
        [
            (weights or {}).get(task, 1.0)
            * np.nanmean(
                (np.asarray(predictions[task], "float64") - y[task]) ** 2
            )
            for task in TASKS
        ]
    )


def gradients(model: Any, data: Any, weights: Any = None) -> list[Any]:
    """A gradient of each task's loss, one tape per task."""
    x, y = data
    rows = []
    for task in TASKS:
        known = ~np.isnan(y[task]).any(axis=-1)
        with tf.GradientTape() as tape:
            errors = model(x, training=True)[task][known] - y[task][known]
            loss = tf.reduce_mean(errors**2) * (weights or {}).get(task, 1.0)
        rows.append(
            tape.gradient(
                loss, [v.value for v in model.trainable_variables], None, "zero"
            )
        )
    return [[tf.convert_to_tensor(g).numpy() for g in row] for row in rows]


def in_common(model: Any) -> list[Any]:
    """Which entries the losses of two tasks reach, found by gradients."""
    rows = gradients(model, make_data(60, missing=False))
    return [
        sum((np.abs(row[i]) > 0).astype(int) for row in rows) > 1
        for i in range(len(model.trainable_variables))
    ]


def brute_force(
    model: Any, data: Any, meta_data: Any, weights: Any, shared: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets the weights, looks at the losses, and sets them back."""
    before = model.get_weights()
    trained = gradients(model, data, weights)
    judged = gradients(model, meta_data, weights)
    losses = plain_losses(model, meta_data, weights)
    exact = np.zeros((3, 3))
    for s, row in enumerate(trained):
        for variable, slope, mask in zip(
            model.trainable_variables, row, shared, strict=True
        ):
            variable.assign_sub(RATE * np.where(mask, slope, 0.0))
        exact[:, s] = 1 - plain_losses(model, meta_data, weights) / losses
        model.set_weights(before)

    def flat(row: Any) -> np.ndarray:
        parts = [g[m] for g, m in zip(row, shared, strict=True)]
        return np.concatenate(parts).astype("float64")

    trained, judged = (
        [flat(row) for row in rows] for rows in (trained, judged)
    )
    products = np.array([[t @ s for s in trained] for t in judged])
    lengths = [
        [np.sqrt(row @ row) for row in rows] for rows in (judged, trained)
    ]
    return (
        exact,
        RATE * products / losses[:, None],
        products / np.outer(*lengths),
    )


def functional_model() -> keras_selfaux.SelfAuxModel:
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, "tanh")(inputs)
    features = {"c": hidden}
    hidden = layers.Dense(6, "tanh")(hidden)
    features |= {task: layers.Dense(5, "tanh")(hidden) for task in ("a", "b")}
    return keras_selfaux.SelfAuxModel(
        keras.Model(inputs, features), {t: layers.Dense(2) for t in TASKS}
    )


def scalar_model() -> keras_selfaux.SelfAuxModel:
    """Predicts `factor * weight * x` with one weight in common, 1 at first."""
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder([layers.Dense(1, use_bias=False)], paths=1),
        {task: layers.Dense(1, use_bias=False) for task in TASKS},
        "none",
    )
    model.build((None, 1))
    model.encoder.stage_stacks[0].set_module_weights(0, [np.ones((1, 1))])
    for task, factor in zip(TASKS, [1.0, 1.0, 2.0], strict=True):
        weights = [np.full((1, 1), factor)]
        model.head_bank.set_edge_weights((task, task), weights)
    return model


# Losses 1, 4 and 1; slopes 2, -4 and 4.
SCALAR_DATA = (
    np.ones((2, 1), "float32"),
    {
        t: np.full((2, 1), y, "float32")
        for t, y in zip(TASKS, [0, 3, 1], strict=True)
    },
)
SCALAR_EXACT = [
    [0.36, -0.96, 0.64],
    [-0.21, 0.36, -0.44],
    [0.64, -2.24, 0.96],
]
SCALAR_FIRST_ORDER = [[0.4, -0.8, 0.8], [-0.2, 0.4, -0.4], [0.8, -1.6, 1.6]]


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_numbers_worked_out_by_hand(jit_compile: Any) -> None:
    model = scalar_model()
    compile_model(model, jit_compile=bool(jit_compile))
    run = {} if jit_compile is None else {"run": compiled}
    exact, first_order, cosine = measured(model, SCALAR_DATA, **run)
    np.testing.assert_allclose(exact, SCALAR_EXACT, rtol=1e-5)
    np.testing.assert_allclose(first_order, SCALAR_FIRST_ORDER, rtol=1e-6)
    np.testing.assert_allclose(cosine, np.sign(SCALAR_FIRST_ORDER), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "with_meta"),
    [
        ("stacked", False),
        ("stacked", True),
        ("looped", True),
        ("functional", False),
    ],
)
def test_brute_force(kind: str, with_meta: bool) -> None:
    weights = {"a": 2.0, "c": 0.5}
    if kind == "functional":
        model = functional_model()
    else:
        model = make_model(
            stack=kind == "stacked", paths=TABLE, batch_norm=not with_meta
        )
    compile_model(model, loss_weights=weights)
    shared = in_common(model)
    assert 0 < sum(map(np.any, shared)) < len(shared)
    data = make_data()
    x, y = make_data(31)
    meta_data = (x[10:], {t: v[10:] for t, v in y.items()})
    given = meta_data if with_meta else None
    found = measured(model, data, given)
    wanted = brute_force(
        model, data, meta_data if with_meta else data, weights, shared
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-6)
    assert np.any(np.abs(found[0]) > 1e-3)


def test_stacked_layers_give_what_looped_ones_give() -> None:
    stacked = make_model(paths=TABLE)
    looped = make_model(paths=TABLE, stack=False)
    copy_weights(stacked, looped)
    found = []
    for model in (stacked, looped):
        compile_model(model)
        found.append(measured(model, make_data()))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_a_short_step_does_what_the_first_order_form_says() -> None:
    # Dropout's masks are the same before and after, or this would be far off.
    model = make_model(dropout=0.5)
    compile_model(model)
    errors = []
    for rate in (0.04, 0.004):
        exact, first_order, _ = measured(model, make_data(), rate=rate)
        errors.append(np.max(np.abs(exact - first_order)))
    assert 1e-4 < errors[0] < 0.1
    assert errors[1] < errors[0] / 50  # by the square of the rate


def test_nothing_moves() -> None:
    model = make_model(dropout=0.5, batch_norm=True)
    compile_model(model, "adam", metrics=["mae"], run_eagerly=True)
    model.train_on_batch(*make_data())
    state = [*model.variables, *model.optimizer.variables]
    state += model.metrics_variables
    before = [np.array(v) for v in state]
    first = measured(model, make_data())
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    np.testing.assert_array_equal(first, measured(model, make_data()))


def test_clones_do_not_change_the_numbers() -> None:
    found = []
    source = make_model("none", paths=TABLE)
    for auxiliaries in ("none", "all"):
        model = make_model(auxiliaries, paths=TABLE)
        model.encoder.set_weights(source.encoder.get_weights())
        for edge in source.transfer_graph.primaries:
            weights = source.head_bank.edge_weights(edge)
            model.head_bank.set_edge_weights(edge, weights)
        compile_model(model, weighting="auto_lambda", aggregator="mgda")
        found.append(measured(model, make_data()))
    np.testing.assert_array_equal(*found)


def test_without_the_exact_form_the_rest_is_the_same() -> None:
    model = make_model()
    compile_model(model)
    _, *wanted = measured(model, make_data())
    exact, *found = measured(model, make_data(), exact=False)
    assert exact is None
    np.testing.assert_array_equal(found, wanted)


# What cannot be told.


@pytest.mark.parametrize("how", ["labels", "weights"])
def test_a_task_without_labels_gives_no_value(how: str) -> None:
    model = make_model()
    compile_model(model)
    x, y = make_data(missing=False)
    data: Any = (x, y)
    if how == "labels":
        data = (x, {**y, "b": np.full_like(y["b"], np.nan)})
    else:
        data = (x, y, {"b": np.zeros(len(x), "float32")})
    wanted = np.zeros((3, 3), bool)
    wanted[1] = wanted[:, 1] = True
    for values in measured(model, data):
        np.testing.assert_array_equal(np.isnan(values), wanted)


def test_sources_need_labels_to_train_and_targets_to_be_judged() -> None:
    model = make_model()
    compile_model(model)
    x, y = make_data(missing=False)
    train = (x, {**y, "a": np.full_like(y["a"], np.nan)})
    meta = (x, {**y, "c": np.full_like(y["c"], np.nan)})
    wanted = np.zeros((3, 3), bool)
    wanted[2] = wanted[:, 0] = True
    for values in measured(model, train, meta):
        np.testing.assert_array_equal(np.isnan(values), wanted)


def test_no_share_of_a_loss_that_is_zero() -> None:
    model = scalar_model()
    compile_model(model)
    x, y = SCALAR_DATA
    exact, first_order, cosine = measured(model, (x, {**y, "b": x}))
    wanted = np.zeros((3, 3), bool)
    wanted[1] = True
    for values in (exact, first_order):
        np.testing.assert_array_equal(np.isnan(values), wanted)
        np.testing.assert_array_equal(values[[0, 2], 1], 0)  # no step at all
    wanted[:, 1] = True
    np.testing.assert_array_equal(np.isnan(cosine), wanted)


def test_a_batch_of_one() -> None:
    model = scalar_model()
    compile_model(model)
    x, y = SCALAR_DATA
    exact, *_ = measured(model, (x[:1], {t: v[:1] for t, v in y.items()}))
    np.testing.assert_allclose(exact, SCALAR_EXACT, rtol=1e-5)


def test_samples_of_one_task_each_in_short_form() -> None:
    model = make_model()
    compile_model(model)
    x, y = make_data()
    task = np.arange(len(x)) % len(TASKS)
    labels = np.choose(task[:, None], [y[name] for name in TASKS])
    short = keras_selfaux.SingleTaskLabels(labels, task)
    np.testing.assert_allclose(
        measured(model, (x, short)), measured(model, (x, y)), atol=1e-6
    )


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("mixed_float16", 3e-3),
        pytest.param("mixed_bfloat16", 3e-2, marks=pytest.mark.slow),
    ],
)
def test_half_precision(policy: str, tolerance: float) -> None:
    found = []
    for each in ("float32", policy):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(each)
        model = make_model(batch_norm=True)
        compile_model(model)
        found.append(measured(model, make_data()))
        # Gradients near the smallest numbers of float16.
        small = dict.fromkeys(TASKS, 1e-6)
        compile_model(model, loss_weights=small)
        found[-1] += measured(model, make_data(), rate=RATE * 1e6)[1:]
    for values, wanted in zip(*reversed(found), strict=True):
        np.testing.assert_allclose(values, wanted, atol=tolerance)


def test_what_overflows_is_left_out() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model()
    compile_model(model)
    x, y = make_data()
    found = measured(model, (x, {**y, "b": y["b"] * np.float32(1e7)}))
    for values in found:
        assert np.all(np.isnan(values[:, 1]))
        assert np.all(np.isfinite(values[np.ix_([0, 2], [0, 2])]))


# Errors.


@pytest.mark.parametrize("auxiliaries", ["none", "all"])
def test_tasks_that_share_nothing(auxiliaries: str) -> None:
    model = make_model(auxiliaries, paths=0)
    compile_model(model)
    with pytest.raises(
        ValueError,
        match=r"Affinities are measured on variables that several tasks share. "
        r"Received: a model whose tasks share none. Share stages",
    ):
        plan_of_primaries(model)


def test_one_task_alone() -> None:
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder([layers.Dense(3)], paths=1), {"a": layers.Dense(1)}
    )
    model.build((None, 4))
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="and train two tasks or more"):
        plan_of_primaries(model)
