"""The invariants of a training step, one test each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import _batch, _step
from keras_selfaux.weightings import AutoLambda, Static
from tests.integration.models import (
    LEARNING_RATE,
    TASKS,
    assert_same_weights,
    compile_model,
    copy_weights,
    make_data,
    make_model,
    weights_of,
)
from tests.replicas import two_replicas


class RecordingAutoLambda(AutoLambda):
    """Keeps the gradient that it is handed; must run eagerly."""

    def update(self, gradient: tf.Tensor) -> None:
        self.seen = gradient.numpy()
        super().update(gradient)


def losses_at(model: keras.Model, theta: list, data: tuple) -> tf.Tensor:
    batch = _batch.as_batch(data, TASKS)
    return _step.evaluate(model, theta, batch, clones=True).shares


def test_an_edge_never_reaches_its_sources_branch() -> None:
    model = make_model([("a", "b")], dropout=0.5)
    compile_model(model)
    theta = [v.value + 0 for v in model.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(theta)
        losses = losses_at(model, theta, make_data())
        edge_loss, loss_of_b = losses[3], losses[1]
    # The branches' kernels are stacked: one row per task.
    kernels = [i for i, t in enumerate(theta) if t.shape == (3, 6, 5)]
    assert len(kernels) == 1
    for loss in (edge_loss, loss_of_b):
        gradient = tape.gradient(loss, theta)[kernels[0]].numpy()
        assert not gradient[TASKS.index("a")].any()
        assert gradient[TASKS.index("b")].any()
        assert not gradient[TASKS.index("c")].any()


@pytest.mark.parametrize(
    ("optimizer", "batch_norm", "batch_size"),
    # In batches of 10 the last one is smaller.
    [
        ("sgd", False, 8),
        pytest.param("adam", True, 10, marks=pytest.mark.slow),
    ],
)
def test_an_empty_graph_trains_as_plain_keras(
    optimizer: str, batch_norm: bool, batch_size: int
) -> None:
    x, y = make_data(missing=False)
    model = make_model("none", batch_norm=batch_norm)
    plain = model.inference_model
    histories = []
    for each in (model, plain):
        each.compile(optimizer, loss="mse", metrics={t: ["mae"] for t in TASKS})
        history = each.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=4,
            shuffle=False,
            verbose=0,
            validation_data=(x, y),
        )
        histories.append(history.history)
    ours, theirs = histories
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        if len(x) % batch_size and _is_task_loss(name):
            continue  # here Keras lets a small batch count like a full one
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, atol=1e-6)
    for task, predictions in model.predict(x, verbose=0).items():
        wanted = plain.predict(x, verbose=0)[task]
        np.testing.assert_allclose(predictions, wanted, atol=1e-5)


def test_sample_weights_count_as_in_plain_keras() -> None:
    x, y = make_data(missing=False)
    weight = np.linspace(0.5, 2.0, len(x)).astype("float32")
    model = make_model("none")
    plain = model.inference_model
    for each in (model, plain):
        compile_model(
            each,
            loss_weights={"a": 2.0, "b": 0.5, "c": 1.0},
            weighted_metrics={t: ["mae"] for t in TASKS},
        )
        each.fit(x, y, sample_weight=weight, shuffle=False, verbose=0)
    ours, theirs = (
        m.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
        for m in (model, plain)
    )
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("normalize", [None, "branch"])
def test_hypergradient_equals_brute_force(normalize: str | None) -> None:
    model = make_model(dropout=0.3)
    weighting = RecordingAutoLambda(
        initial_weight=0.4, learning_rate=0.01, normalize=normalize
    )
    compile_model(model, weighting=weighting, run_eagerly=True)
    train, meta = make_data(), make_data(30)
    theta = [v.value + 0 for v in model.trainable_variables]
    raw = tf.convert_to_tensor(weighting.raw)

    def meta_loss_after_step(applied: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as inner:
            inner.watch(theta)
            total = tf.reduce_sum(applied * losses_at(model, theta, train))
        gradient = inner.gradient(total, theta)
        moved = [
            t - LEARNING_RATE * g for t, g in zip(theta, gradient, strict=True)
        ]
        return tf.reduce_sum(losses_at(model, moved, meta)[: len(TASKS)])

    applied = weighting(tf.ones_like(raw))
    with tf.GradientTape() as outer:
        outer.watch(applied)
        value = meta_loss_after_step(applied)
    exact = outer.gradient(value, applied).numpy()
    step = 0.02
    two_sided = [
        (
            meta_loss_after_step(applied + step * direction)
            - meta_loss_after_step(applied - step * direction)
        ).numpy()
        / (2 * step)
        for direction in tf.eye(len(applied))
    ]
    model.train_on_batch(*train, meta_data=meta)
    scale = np.abs(exact).max()
    np.testing.assert_allclose(weighting.seen / scale, exact / scale, atol=1e-4)
    np.testing.assert_allclose(
        weighting.seen / scale, np.array(two_sided) / scale, atol=2e-3
    )


def test_hypergradient_is_zero_for_an_unlabelled_edge() -> None:
    model = make_model()
    weighting = RecordingAutoLambda()
    compile_model(model, weighting=weighting, run_eagerly=True)
    x, y = make_data()
    y["c"][:] = np.nan
    model.train_on_batch(x, y, meta_data=make_data())
    unlabelled = [source == "c" for source, _ in weighting.edges]
    assert not weighting.seen[unlabelled].any()
    assert weighting.seen[np.logical_not(unlabelled)].all()


@pytest.mark.parametrize("weighting", ["equal", "auto_lambda"])
def test_batch_norm_and_seeds_move_once_per_step(weighting: str) -> None:
    x, y = make_data(missing=False)
    model = make_model("none", batch_norm=True, dropout=0.2)
    compile_model(model, weighting=weighting)
    plain = model.inference_model
    compile_model(plain)
    seeds = [v for v in model.non_trainable_variables if "seed" in v.path]
    before = [v.numpy().copy() for v in seeds]
    model.train_on_batch(x, y, meta_data=(x, y))
    # A generator counts its draws: one for all modules with dropout.
    draws = [v.numpy() - b for v, b in zip(seeds, before, strict=True)]
    assert len(draws) == 1
    assert all(d.sum() == 1 for d in draws)
    moving = [
        v.numpy()
        for v in model.encoder.non_trainable_variables
        if "moving_mean" in v.path
    ]
    assert [mean.shape for mean in moving] == [(len(TASKS), 5)]
    # Fresh statistics move from 0 by 1 % of the batch's mean, and dropout
    # changes each feature (in [-1, 1]) at most to 1.25: once, not thrice.
    for mean in moving:
        assert 0 < np.abs(mean).max() <= 0.0125


def test_batch_norm_statistics_equal_plain_keras_under_auto_lambda() -> None:
    x, y = make_data(missing=False)
    model = make_model("none", batch_norm=True)
    plain = model.inference_model
    # A learning rate of 0 leaves the weights alone, not the statistics.
    for each, arguments in ((model, {"weighting": "auto_lambda"}), (plain, {})):
        compile_model(each, keras.optimizers.SGD(0.0), **arguments)
    for _ in range(3):
        model.train_on_batch(x, y, meta_data=make_data(30, missing=False))
        plain.train_on_batch(x, y)
    for task, values in model.predict(x, verbose=0).items():
        wanted = plain.predict(x, verbose=0)[task]
        np.testing.assert_allclose(values, wanted, atol=1e-6)


@pytest.mark.parametrize("how", ["nan", "zero_weight"])
def test_missing_labels_are_as_if_never_there(how: str) -> None:
    """A batch with missing labels equals separate batches per task."""
    x, y = make_data()
    model, reference = make_model(), make_model()
    copy_weights(model, reference)
    compile_model(model)
    compile_model(reference)
    theta = [v.value + 0 for v in reference.trainable_variables]
    data = (x, y)
    if how == "zero_weight":
        weight = {t: (~np.isnan(y[t][:, 0])).astype("float32") for t in TASKS}
        data = (x, {t: np.nan_to_num(y[t], nan=7.0) for t in TASKS}, weight)
    losses = losses_at(model, theta, data).numpy()
    for index, (source, _) in enumerate(model.weighting.edges):
        rows = ~np.isnan(y[source][:, 0])
        labels = {t: np.nan_to_num(y[t][rows]) for t in TASKS}
        alone = losses_at(reference, theta, (x[rows], labels)).numpy()
        assert losses[index] == pytest.approx(alone[index], rel=1e-5)


def test_no_labels_at_all_change_nothing_and_give_no_nan() -> None:
    x, y = make_data()
    y = {task: np.full_like(values, np.nan) for task, values in y.items()}
    model = make_model()
    compile_model(model, weighting="auto_lambda", metrics=["mae"])
    before = [v.copy() for v in model.get_weights()]
    logs = model.train_on_batch(x, y, meta_data=(x, y), return_dict=True)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert all(value == 0 for value in logs.values())
    assert not np.isnan(list(model.task_weights.values())).any()


@pytest.mark.parametrize("weighting", ["equal", "auto_lambda"])
def test_stacked_trains_as_looped(weighting: str) -> None:
    stacked, looped = make_model(), make_model(stack=False)
    assert stacked.head_bank.clone_stacks[0].stacked
    assert not looped.head_bank.clone_stacks[0].stacked
    copy_weights(stacked, looped)
    data = make_data()
    for model in (stacked, looped):
        compile_model(model, "adam", weighting=weighting)
        for _ in range(5):
            model.train_on_batch(*data, meta_data=make_data(30))
    assert_same_weights(stacked, looped, 1e-5)
    for edge, weight in stacked.task_weights.items():
        assert looped.task_weights[edge] == pytest.approx(weight, rel=1e-5)


@pytest.mark.parametrize(
    ("variant", "dropout"),
    [
        # XLA draws other random numbers.
        pytest.param("jit_compile", 0.0, marks=pytest.mark.slow),
        pytest.param("run_eagerly", 0.2, marks=pytest.mark.slow),
        ("steps_per_execution", 0.2),
    ],
)
def test_every_way_to_run_a_step_gives_the_same_numbers(
    variant: str, dropout: float
) -> None:
    graph, other = make_model(dropout=dropout), make_model(dropout=dropout)
    other.set_weights(graph.get_weights())
    for mine, theirs in zip(
        graph.non_trainable_variables,
        other.non_trainable_variables,
        strict=True,
    ):
        theirs.assign(mine)  # dropout's seeds
    arguments_of_other = {variant: 3 if "steps" in variant else True}
    for model, arguments in ((graph, {}), (other, arguments_of_other)):
        compile_model(
            model, "adam", weighting=AutoLambda(learning_rate=0.01), **arguments
        )
        data = tf.data.Dataset.from_tensor_slices(make_data()).batch(8)
        model.fit(data, epochs=2, verbose=0, meta_data=data)
    assert_same_weights(graph, other, 1e-5)
    np.testing.assert_allclose(
        list(graph.task_weights.values()),
        list(other.task_weights.values()),
        rtol=1e-5,
    )


def test_clones_change_no_prediction() -> None:
    x, _ = make_data()
    with_clones, without = make_model(), make_model("none")
    for task in TASKS:
        without.head_bank.set_edge_weights(
            (task, task), with_clones.head_bank.edge_weights((task, task))
        )
    without.encoder.set_weights(with_clones.encoder.get_weights())
    before = with_clones.predict(x, verbose=0)
    for edge in with_clones.transfer_graph.edges:
        weights = with_clones.head_bank.edge_weights(edge)
        with_clones.head_bank.set_edge_weights(
            edge, [np.full_like(w, 1e6) for w in weights]
        )
    after = with_clones.predict(x, verbose=0)
    for task, values in without.predict(x, verbose=0).items():
        np.testing.assert_array_equal(before[task], after[task])
        np.testing.assert_allclose(before[task], values, atol=1e-6)


def test_static_zero_weights_on_edges_train_as_an_empty_graph() -> None:
    clones, empty = make_model(), make_model("none")
    empty.encoder.set_weights(clones.encoder.get_weights())
    for task in TASKS:
        empty.head_bank.set_edge_weights(
            (task, task), clones.head_bank.edge_weights((task, task))
        )
    edges = clones.transfer_graph.edges
    compile_model(clones, weighting=Static(dict.fromkeys(edges, 0.0)))
    compile_model(empty)
    for model in (clones, empty):
        model.fit(*make_data(), epochs=3, shuffle=False, verbose=0)
    trained, wanted = weights_of(clones), weights_of(empty)
    for key, values in wanted.items():
        for value, reference in zip(trained[key], values, strict=True):
            np.testing.assert_allclose(value, reference, atol=1e-6)


def test_update_every_skips_the_other_steps() -> None:
    model = make_model()
    compile_model(model, weighting=AutoLambda(update_every=3))
    seen = []
    for _ in range(7):
        model.train_on_batch(*make_data(), meta_data=make_data(30))
        seen.append(model.task_weights["a", "a"])
    changed = [i for i in range(1, 7) if seen[i] != seen[i - 1]]
    assert seen[0] != pytest.approx(0.1, abs=1e-7)  # step 0 is due
    assert changed == [3, 6]


@pytest.mark.slow
def test_two_replicas_train_as_one() -> None:
    strategy = two_replicas()
    single = make_model()
    with strategy.scope():
        mirrored = make_model()
        compile_model(mirrored, weighting=AutoLambda(1e-3))
    mirrored.set_weights(single.get_weights())
    compile_model(single, weighting=AutoLambda(1e-3))
    x, y = make_data()
    y["a"][:14] = np.nan  # all labels of this task on the second replica
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(24).repeat(5)
    logs = [
        model.fit(data, verbose=0, meta_data=data).history
        for model in (single, mirrored)
    ]
    for value, wanted in zip(
        mirrored.get_weights(), single.get_weights(), strict=True
    ):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
    for edge, weight in single.task_weights.items():
        assert mirrored.task_weights[edge] == pytest.approx(weight, rel=1e-5)
    # Adam hides the gradient's scale from ω, its moments do not.
    for value, wanted in zip(
        mirrored.weighting.optimizer.variables,
        single.weighting.optimizer.variables,
        strict=True,
    ):
        moment = keras.ops.convert_to_numpy(wanted)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(value),
            moment,
            atol=1e-4 * np.abs(moment).max(),
        )
    for name, values in logs[0].items():
        assert logs[1][name] == pytest.approx(values, rel=1e-4)


def test_regularisation_is_added_once() -> None:
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(3, kernel_regularizer="l2")(inputs)
    encoder = keras.Model(inputs, {"a": trunk, "b": trunk})
    heads = {t: keras.layers.Dense(1) for t in ("a", "b")}
    model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
    plain = model.inference_model
    x = make_data()[0]
    y = {t: np.ones((len(x), 1), "float32") for t in ("a", "b")}
    results = []
    for each in (model, plain):
        each.compile("sgd", loss="mse")
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
        results.append(each.evaluate(x, y, verbose=0, return_dict=True))
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def _is_task_loss(name: str) -> bool:
    return name.removeprefix("val_") in {f"{task}_loss" for task in TASKS}
