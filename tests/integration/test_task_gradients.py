"""Rows, what they are taken by, and what an aggregator's update replaces."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_selfaux
from keras_selfaux import _batch, _step
from keras_selfaux._rows import Rows
from keras_selfaux._sharing import shared_entries
from keras_selfaux._task_gradients import make_plan
from keras_selfaux.aggregators import Coefficients, GramianAggregator
from keras_selfaux.weightings import Static
from tests.integration.models import (
    LEARNING_RATE,
    TASKS,
    assert_same_weights,
    compile_model,
    copy_weights,
    make_data,
    make_model,
)
from tests.replicas import two_replicas

FACTORS = [2.0, 0.5, -1.0]


class Fixed(GramianAggregator):
    """Multiplies each row by a number, and keeps the rows it was given."""

    def __init__(self, factors: Any = FACTORS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, rows: Rows) -> list[tf.Tensor]:
        self.__dict__["seen"] = rows
        return super().call(rows)

    def solve(self, gramian: Any, present: Any) -> Coefficients:
        return Coefficients(ops.convert_to_tensor(self.factors))


def functional_model(
    auxiliaries: Any = "all", **options: Any
) -> keras_selfaux.SelfAuxModel:
    """A trunk of two layers, a branch per task, all plain Keras."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, "tanh", name="first")(inputs)
    hidden = layers.Dense(5, "tanh", name="last", **options)(hidden)
    features = {
        task: layers.Dense(5, "tanh", name=f"branch_{task}")(hidden)
        for task in TASKS
    }
    return keras_selfaux.SelfAuxModel(
        keras.Model(inputs, features),
        {task: layers.Dense(2) for task in TASKS},
        auxiliaries,
    )


def gradients_of_tasks(
    model: Any, data: Any, weights: dict[Any, float]
) -> list[list[tf.Tensor]]:
    """The gradient of each task's weighted losses, one tape per task."""
    batch = _batch.as_batch(data, TASKS)
    theta = [v.value + 0 for v in model.trainable_variables]
    rows = []
    for task in TASKS:
        with tf.GradientTape() as tape:
            tape.watch(theta)
            losses = _step.evaluate(model, theta, batch, clones=True).shares
            total = tf.add_n(
                [
                    weights.get(edge, 1.0) * losses[i]
                    for i, edge in enumerate(model.weighting.edges)
                    if edge[0] == task
                ]
            )
        rows.append(tape.gradient(total, theta, unconnected_gradients="zero"))
    return rows


def step(model: Any, data: Any) -> list[np.ndarray]:
    """Takes a step of SGD and returns the gradient that it followed."""
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.train_on_batch(*data)
    return [
        (old - ops.convert_to_numpy(v)) / LEARNING_RATE
        for old, v in zip(before, model.trainable_variables, strict=True)
    ]


def as_mask(shared: Any, value: np.ndarray) -> np.ndarray:
    column = np.reshape(shared, (-1, *(1,) * (value.ndim - 1)))
    return np.broadcast_to(column, value.shape)


@pytest.mark.parametrize("stack", [True, False])
@pytest.mark.parametrize("auxiliaries", ["none", "all", [("a", "b")]])
def test_rows_replace_the_gradient_of_what_is_shared(
    auxiliaries: Any, stack: bool
) -> None:
    weights = {("b", "b"): 3.0}
    if auxiliaries != "none":
        weights["a", "b"] = 0.25
    model = make_model(auxiliaries, stack=stack)
    compile_model(model, aggregator=Fixed(), weighting=Static(weights))
    data = make_data()
    rows = gradients_of_tasks(model, data, weights)
    found = step(model, data)
    for i, shared in enumerate(shared_entries(model)):
        plain = sum(row[i].numpy() for row in rows)
        combined = sum(
            factor * row[i].numpy()
            for factor, row in zip(FACTORS, rows, strict=True)
        )
        mask = as_mask(shared, plain)
        np.testing.assert_allclose(
            found[i], np.where(mask, combined, plain), atol=2e-6
        )


def test_rows_are_those_of_tasks_on_shared_entries_alone() -> None:
    model = make_model([("a", "b")])
    aggregator = Fixed()
    compile_model(model, aggregator=aggregator, run_eagerly=True)
    data = make_data()
    rows = gradients_of_tasks(model, data, {})
    model.train_on_batch(*data)
    wanted = []
    for i, shared in enumerate(shared_entries(model)):
        if np.any(shared):
            full = np.stack([row[i] for row in rows])
            wanted.append(np.where(as_mask(shared, full[0])[None], full, 0.0))
    seen = model.aggregator.seen
    for tensor, value in zip(seen.tensors, wanted, strict=True):
        np.testing.assert_allclose(tensor, value, atol=1e-6)
    flat = np.concatenate([v.reshape(3, -1) for v in wanted], axis=1)
    np.testing.assert_allclose(
        seen.gramian * seen.scale**2, flat @ flat.T, rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("make", [make_model, functional_model])
@pytest.mark.parametrize("auxiliaries", ["none", "all"])
def test_feature_rows_go_back_through_the_trunk(
    make: Any, auxiliaries: str
) -> None:
    # With factors that do not depend on the Gramian, what the trunk gets is
    # linear in the rows: the same as from rows on its parameters. Branches
    # get their plain gradient.
    data = make_data()
    model = make(auxiliaries)
    compile_model(model, aggregator=Fixed(rows="features"))
    model.train_on_batch(*data)  # builds; then from where it stands
    rows = gradients_of_tasks(model, data, {})
    found = step(model, data)
    in_trunk = trunk_variables(model)
    assert 0 < len(in_trunk) < len(found)
    for i, variable in enumerate(model.trainable_variables):
        factors = FACTORS if id(variable) in in_trunk else [1.0, 1.0, 1.0]
        wanted = sum(
            factor * row[i].numpy()
            for factor, row in zip(factors, rows, strict=True)
        )
        np.testing.assert_allclose(found[i], wanted, atol=2e-6)


def trunk_variables(model: Any) -> set[int]:
    if isinstance(model.encoder, keras_selfaux.layers.BranchedEncoder):
        parts = [model.encoder.stage_stacks[0]]
    else:
        parts = [model.encoder.get_layer(name) for name in ("first", "last")]
    return {id(v) for part in parts for v in part.trainable_variables}


def test_the_gramian_of_feature_rows_is_theirs() -> None:
    model = functional_model("all")
    compile_model(model, aggregator=Fixed(rows="features"), run_eagerly=True)
    model.train_on_batch(*make_data())
    seen = model.aggregator.seen
    assert seen.tensors[0].shape == (3, 24, 5)
    flat = np.reshape(seen.tensors[0], (3, -1))
    np.testing.assert_allclose(
        seen.gramian * seen.scale**2, flat @ flat.T, rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize("rows", ["parameters", "features"])
def test_regularisation_is_no_tasks_gradient(rows: str) -> None:
    # With factors of zero nothing but the penalty moves the trunk.
    model = functional_model(kernel_regularizer=keras.regularizers.L2(0.5))
    compile_model(model, aggregator=Fixed([0.0, 0.0, 0.0], rows=rows))
    model.build((None, 4))
    kernel = model.encoder.get_layer("last").kernel
    before = ops.convert_to_numpy(kernel)
    model.train_on_batch(*make_data())
    np.testing.assert_allclose(
        ops.convert_to_numpy(kernel),
        before - LEARNING_RATE * 2 * 0.5 * before,
        rtol=1e-5,
    )


@pytest.mark.parametrize("rows", ["parameters", "features"])
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_factors_of_one_train_as_without_an_aggregator(
    rows: str, jit_compile: bool
) -> None:
    model, other = (make_model("all", batch_norm=True) for _ in range(2))
    copy_weights(model, other)
    ones = Fixed([1.0, 1.0, 1.0], rows=rows)
    compile_model(model, "adam", aggregator=ones, jit_compile=jit_compile)
    compile_model(other, "adam", jit_compile=jit_compile)
    for each in (model, other):
        each.fit(*make_data(), batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(model, other, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["parameters", "features"])
def test_two_replicas_take_the_same_step_as_one(rows: str) -> None:
    data = make_data(30)
    model = make_model("all", dropout=0.0)
    with two_replicas().scope():
        mirrored = make_model("all", dropout=0.0)
        copy_weights(model, mirrored)
        compile_model(mirrored, aggregator=aggregator_by(rows))
    compile_model(model, aggregator=aggregator_by(rows))
    for each in (model, mirrored):
        each.fit(*data, batch_size=10, epochs=3, shuffle=False, verbose=0)
    assert_same_weights(model, mirrored, 1e-5)


def aggregator_by(rows: str) -> Any:
    return keras_selfaux.aggregators.MGDA(rows=rows)


# What is shared.


def table_model(table: Any, auxiliaries: Any) -> keras_selfaux.SelfAuxModel:
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder(
            [layers.Dense(5), layers.Dense(5)], table
        ),
        {task: layers.Dense(2) for task in TASKS},
        auxiliaries,
    )
    model.build((None, 4))
    return model


@pytest.mark.parametrize(
    ("table", "auxiliaries", "first", "second"),
    [
        # a and b share their first module, c is alone.
        (
            {"a": [0, 0], "b": [0, 1], "c": [1, 2]},
            "none",
            [True, False],
            False,
        ),
        # The labels of a reach c's path by a clone.
        (
            {"a": [0, 0], "b": [0, 1], "c": [1, 2]},
            [("a", "c")],
            True,
            [False, False, True],
        ),
        ({t: [0, 0] for t in TASKS}, "none", True, True),
        ({t: [i, i] for i, t in enumerate(TASKS)}, "none", False, False),
        ({t: [i, i] for i, t in enumerate(TASKS)}, "all", True, True),
    ],
)
def test_what_is_shared_in_a_path_table(
    table: Any, auxiliaries: Any, first: Any, second: Any
) -> None:
    found = shared_entries(table_model(table, auxiliaries))
    wanted = [first, first, second, second]  # kernel and bias of each stage
    for entries, expected in zip(found, wanted, strict=False):
        np.testing.assert_array_equal(entries, expected)
    assert found[4:] == [False] * len(found[4:])  # heads and clones


@pytest.mark.parametrize(
    ("auxiliaries", "names"),
    [
        ("none", {"first", "last"}),
        ([("c", "a")], {"first", "last", "branch_a"}),
        ("all", {"first", "last", "branch_a", "branch_b", "branch_c"}),
    ],
)
def test_what_is_shared_in_a_functional_model(
    auxiliaries: Any, names: set[str]
) -> None:
    model = functional_model(auxiliaries)
    found = {
        variable.path.split("/")[-2]
        for variable, shared in zip(
            model.trainable_variables, shared_entries(model), strict=True
        )
        if shared
    }
    assert found == names


@keras.saving.register_keras_serializable("tests")
class OwnEncoder(layers.Layer):
    """A subclass whose third task reads a stopped gradient."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.common = layers.Dense(5, name="common")
        self.own = layers.Dense(5, name="own")

    def build(self, shape: Any) -> None:
        self.common.build(shape)
        self.own.build(shape)

    def call(self, inputs: Any) -> dict[str, Any]:
        hidden = self.common(inputs)
        return {
            "a": hidden,
            "b": ops.tanh(hidden),
            "c": ops.stop_gradient(hidden) + self.own(inputs),
        }


def test_what_is_shared_in_a_layer_of_ones_own() -> None:
    model = keras_selfaux.SelfAuxModel(
        OwnEncoder(), {t: layers.Dense(2) for t in TASKS}, "none"
    )
    model.build((None, 4))
    shared = shared_entries(model)
    variables = model.encoder.trainable_variables
    assert [v.path.split("/")[-2] for v in variables] == [
        *["common"] * 2,
        *["own"] * 2,
    ]
    assert shared[:4] == [True, True, False, False]


def test_frozen_layers_have_no_rows() -> None:
    model = functional_model("none")
    model.encoder.get_layer("last").trainable = False
    compile_model(model, aggregator="mgda")
    plan = make_plan(model)
    assert plan is not None
    names = [model.trainable_variables[i].path for i in plan.numbers]
    assert len(names) == 2
    assert all("first" in name for name in names)
    model.train_on_batch(*make_data())


@pytest.mark.parametrize("swapped", [False, True])
def test_a_branched_encoder_within_another_is_seen_from_outside(
    swapped: bool,
) -> None:
    inputs = keras.Input((4,))
    inner = keras_selfaux.layers.BranchedEncoder(
        [layers.Dense(5)], paths=0, tasks=["a", "b"], stack=False
    )(inputs)
    first, second = inner["a"], inner["b"]
    encoder = keras.Model(
        inputs,
        {"a": second, "b": first} if swapped else {"a": first, "b": second},
    )
    model = keras_selfaux.SelfAuxModel(
        encoder, {t: layers.Dense(2) for t in "ab"}, [("a", "b")]
    )
    model.build((None, 4))
    # Labels of both tasks reach what leads to b.
    reached = [swapped, swapped, not swapped, not swapped]
    assert shared_entries(model)[:4] == reached


@pytest.mark.slow
def test_freezing_after_loading(tmp_path: pathlib.Path) -> None:
    model = functional_model("all")
    for aggregator in ("mgda", "moco"):
        compile_model(model, aggregator=aggregator)
        model.train_on_batch(*make_data())
        model.save(tmp_path / f"{aggregator}.keras")
    restored = keras.models.load_model(tmp_path / "mgda.keras")
    layer = restored.encoder.get_layer("last")
    layer.trainable = False
    before = ops.convert_to_numpy(layer.kernel)
    restored.train_on_batch(*make_data())
    np.testing.assert_array_equal(layer.kernel, before)
    restored = keras.models.load_model(tmp_path / "moco.keras")
    restored.encoder.get_layer("last").trainable = False
    with pytest.raises(
        ValueError,
        match=r"'moco' remembers the gradients of other variables than are "
        r"trained now. .* Call `compile` again.",
    ):
        restored.train_on_batch(*make_data())


def random_rules() -> dict[str, Any]:
    return {
        "weighting": keras_selfaux.weightings.RandomLossWeighting(seed=1),
        "aggregator": keras_selfaux.aggregators.PCGrad(seed=2),
    }


@pytest.mark.slow
def test_rules_made_outside_a_strategy_are_copied_into_it() -> None:
    model, outside = make_model(), random_rules()
    compile_model(model, **random_rules())
    with two_replicas().scope():
        mirrored = make_model()
        copy_weights(model, mirrored)
        compile_model(mirrored, **outside)
    for each in (model, mirrored):
        each.fit(*make_data(20), batch_size=10, shuffle=False, verbose=0)
    assert_same_weights(model, mirrored, 1e-5)
    assert model.task_weights == pytest.approx(mirrored.task_weights)


def test_feature_rows_under_a_remat_scope() -> None:
    with keras.RematScope(mode="full"):
        model = functional_model()
    other = functional_model()
    for each in (model, other):
        each.build((None, 4))
    other.set_weights(model.get_weights())
    for each in (model, other):
        compile_model(each, aggregator=Fixed(rows="features"))
        each.train_on_batch(*make_data())
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


# What cannot be.


def test_feature_rows_without_a_shared_tensor() -> None:
    inputs = keras.Input((4,))
    encoder = keras.Model(
        inputs, {task: layers.Dense(5)(inputs) for task in TASKS}
    )
    model = keras_selfaux.SelfAuxModel(
        encoder, {t: layers.Dense(2) for t in TASKS}
    )
    compile_model(model, aggregator=aggregator_by("features"))
    with pytest.raises(
        ValueError,
        match=r"rows='features' needs one feature tensor .* which has none. "
        ".*rows='parameters'",
    ):
        model.fit(*make_data(), verbose=0)


def test_feature_rows_of_a_layer_of_ones_own() -> None:
    model = keras_selfaux.SelfAuxModel(
        OwnEncoder(), {t: layers.Dense(2) for t in TASKS}
    )
    compile_model(model, aggregator=aggregator_by("features"))
    with pytest.raises(ValueError, match="needs one feature tensor"):
        model.fit(*make_data(), verbose=0)


def test_feature_rows_of_a_model_with_a_call_of_its_own() -> None:
    class Doubling(keras.Model):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return super().call(2 * inputs, training=training)

    inputs = keras.Input((4,))
    hidden = layers.Dense(5)(inputs)
    encoder = Doubling(inputs, {t: layers.Dense(5)(hidden) for t in TASKS})
    model = keras_selfaux.SelfAuxModel(
        encoder, {t: layers.Dense(2) for t in TASKS}
    )
    compile_model(model, aggregator=aggregator_by("features"))
    with pytest.raises(ValueError, match="needs one feature tensor"):
        model.fit(*make_data(), verbose=0)


def test_feature_rows_where_a_layer_is_used_again_behind_the_trunk() -> None:
    inputs = keras.Input((4,))
    again = layers.Dense(4, name="again")
    hidden = again(inputs)
    encoder = keras.Model(
        inputs,
        {"a": again(hidden), "b": layers.Dense(4)(hidden), "c": hidden},
    )
    model = keras_selfaux.SelfAuxModel(
        encoder, {t: layers.Dense(2) for t in TASKS}
    )
    compile_model(model, aggregator=aggregator_by("features"))
    with pytest.raises(
        ValueError,
        match=r"rows='features' cannot tell apart .* \['again'\]. "
        r"Use rows='parameters'",
    ):
        model.fit(*make_data(), verbose=0)


def test_an_aggregator_with_nothing_to_do_says_so() -> None:
    model, other = (make_model("none", paths=0) for _ in range(2))
    copy_weights(model, other)
    compile_model(model, aggregator="mgda")
    compile_model(other)
    with pytest.warns(UserWarning, match="'mgda' has nothing to do"):
        model.fit(*make_data(), shuffle=False, verbose=0)
    other.fit(*make_data(), shuffle=False, verbose=0)
    assert_same_weights(model, other, 1e-6)


def test_a_weighting_by_gradients_that_tasks_do_not_share() -> None:
    model = make_model("none", paths=0)
    compile_model(model, weighting="grad_norm")
    with pytest.raises(
        ValueError,
        match=r"'grad_norm' compares gradients on variables that several "
        "tasks share. Received: a model whose tasks share none",
    ):
        model.fit(*make_data(), verbose=0)
