"""Steps with NaN or infinity are skipped as if their batches were not there."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.weightings import FAMO, AutoLambda
from tests.integration.models import (
    TASKS,
    compile_model,
    make_data,
    make_model,
)
from tests.replicas import two_replicas

SIZE = 12
STEPS = 6
BAD = [0, 2, 5]
SKIPPED = r"3 of 6 steps of epoch \d were skipped, .* \(first in step 0\)"


def make_batches(*, bad: bool) -> tf.data.Dataset:
    """Returns batches with spoilt ones among them, or these left out."""
    x, y = make_data(STEPS * SIZE)
    label, inputs, gradient = (batch * SIZE + 7 for batch in BAD)
    # Samples of the second replica, where there are two.
    task = next(t for t in TASKS if not np.isnan(y[t][label]).any())
    y[task][label] = np.inf
    x[[inputs, gradient]] = np.nan
    for labels in y.values():  # losses stay finite, the gradient does not
        labels[gradient] = np.nan
    batch = np.arange(len(x)) // SIZE
    kept = np.isin(batch, BAD, invert=True) | bad
    whole = x[kept], {task: labels[kept] for task, labels in y.items()}
    return tf.data.Dataset.from_tensor_slices(whole).batch(SIZE)


def variables_of(model: Any, *, metrics: bool = True) -> list[Any]:
    """Returns all that a step moves, but for the record of the steps."""
    optimizers = [model.optimizer, getattr(model.weighting, "optimizer", None)]
    parts = [model, model.weighting, model.aggregator, *optimizers]
    variables = [v for part in parts if part for v in part.variables]
    record = model.loss_tracker.training_record
    if metrics:
        variables += [v for v in model.metrics_variables if v is not record]
    return list({id(v): v for v in variables}.values())


def values_of(variables: Any) -> list[np.ndarray]:
    # Copies: arrays may share a variable's memory.
    return [tf.convert_to_tensor(v.value).numpy().copy() for v in variables]


def make(**arguments: Any) -> Any:
    """Returns a model with all that a step may move."""
    keras.utils.set_random_seed(0)
    auxiliaries = arguments.pop("auxiliaries", "all")
    model = make_model(auxiliaries, dropout=0.2, batch_norm=True)
    arguments = {"on_non_finite": "skip", "metrics": ["mae"], **arguments}
    compile_model(model, arguments.pop("optimizer", "adam"), **arguments)
    return model


def fit(model: Any, data: tf.data.Dataset, **arguments: Any) -> Any:
    meta_data = tf.data.Dataset.from_tensors(make_data(30))
    history = model.fit(
        data, verbose=0, meta_data=meta_data, epochs=3, **arguments
    )
    return history.history


def assert_as_without(model: Any, **arguments: Any) -> None:
    """Asserts that spoilt batches leave no trace, to the last bit."""
    # A step makes what metrics there are; then all can be set back.
    fit(model, make_batches(bad=False), **arguments)
    variables = variables_of(model)
    start = values_of(variables)
    found = []
    for bad in (True, False):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        if bad:
            with pytest.warns(UserWarning, match=SKIPPED):
                logs = fit(model, make_batches(bad=True), **arguments)
            assert model.loss_tracker.training_steps().bad == len(BAD)
        else:
            logs = fit(model, make_batches(bad=False), **arguments)
        found.append((values_of(variables), logs))
    (values, logs), (wanted, wanted_logs) = found
    for value, other in zip(values, wanted, strict=True):
        np.testing.assert_array_equal(value, other)
        assert np.isfinite(value).all()
    assert logs == wanted_logs
    assert len(set(logs["loss"])) == 3  # it has learned something


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"weighting": "dwa", "aggregator": "graddrop"},
        {"weighting": AutoLambda(0.01)},
        {"weighting": FAMO(), "aggregator": "moco"},
        {"weighting": "grad_norm", "aggregator": "cagrad"},
        {"weighting": AutoLambda(0.01, update_every=2)},
        {"weighting": "uncertainty", "aggregator": "nash_mtl"},
        {"weighting": "equal", "aggregator": "db_mtl"},
        {
            "optimizer": keras.optimizers.AdamW(
                gradient_accumulation_steps=2, use_ema=True
            )
        },
    ],
)
def test_it_is_as_if_the_batches_were_not_there(arguments: Any) -> None:
    assert_as_without(make(run_eagerly=True, **arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"auxiliaries": "none", "weighting": "dwa"},
        *(
            pytest.param(arguments, marks=pytest.mark.slow)
            for arguments in [
                {},
                {"jit_compile": True, "weighting": AutoLambda(0.01)},
                {"jit_compile": True, "weighting": "dwa"},
                {"jit_compile": True, "steps_per_execution": 1},
                {"steps_per_execution": 4, "weighting": FAMO()},
            ]
        ),
    ],
)
def test_many_steps_at_a_time(arguments: Any) -> None:
    assert_as_without(make(**arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"weighting": AutoLambda(0.01)},
        {"weighting": FAMO(), "aggregator": "graddrop"},
        {"weighting": "dwa", "aggregator": "moco"},
    ],
)
def test_replicas_skip_together(arguments: Any) -> None:
    with two_replicas().scope():
        model = make(**arguments)
    assert_as_without(model)


def test_one_replica_makes_all_of_them_skip() -> None:
    with two_replicas().scope():
        model = make(
            auxiliaries="none", metrics=None, on_non_finite="reduce_loss_scale"
        )
    x, y = make_data(SIZE)
    model.train_on_batch(x, y)
    variables = variables_of(model, metrics=False)
    scale = {
        id(model.optimizer.dynamic_scale),
        id(model.optimizer.step_counter),
    }
    variables = [v for v in variables if id(v) not in scale]
    before = values_of(variables)
    model.optimizer.dynamic_scale.assign(0.0)
    x[7] = np.nan
    model.train_on_batch(x, y)
    for value, wanted in zip(values_of(variables), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert values_of([model.optimizer.dynamic_scale]) == [0.5]
    assert model.loss_tracker.training_steps()[:2] == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["skip", "reduce_loss_scale"])
def test_two_replicas_skip_as_one(mode: str) -> None:
    single = make_model()
    with two_replicas().scope():
        mirrored = make_model()
    mirrored.set_weights(single.get_weights())
    logs = []
    for model in (single, mirrored):
        with model.distribute_strategy.scope():
            compile_model(model, weighting=AutoLambda(0.01), on_non_finite=mode)
        with pytest.warns(UserWarning, match=SKIPPED):
            logs.append(fit(model, make_batches(bad=True)))
    for name, values in logs[0].items():
        assert logs[1][name] == pytest.approx(values, rel=1e-4), name
    pairs = zip(single.get_weights(), mirrored.get_weights(), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert mirrored.task_weights == pytest.approx(single.task_weights, rel=1e-3)


def test_a_meta_batch_with_nan_skips_the_step() -> None:
    model = make(weighting=AutoLambda(0.01), run_eagerly=True)
    data = make_data(SIZE)
    meta = make_data(SIZE)
    bad = meta[0].copy()
    bad[0] = np.nan
    model.train_on_batch(*data, meta_data=meta)
    variables = variables_of(model, metrics=False)
    before = values_of(variables)
    losses = model.train_on_batch(*data, meta_data=(bad, meta[1]))
    assert np.isnan(losses[:4]).all()
    for value, wanted in zip(values_of(variables), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
    firsts = model.loss_tracker.training_steps().firsts
    assert firsts == {"losses of the meta batch": 1}
    model.train_on_batch(*data, meta_data=meta)
    assert int(model.optimizer.iterations) == 2


def test_the_loss_scale_is_reduced() -> None:
    model = make(on_non_finite="reduce_loss_scale", run_eagerly=True)
    optimizer = model.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(optimizer.inner_optimizer, keras.optimizers.Adam)
    data = iter(make_batches(bad=True))
    model.train_on_batch(*make_data(SIZE))
    scale = {id(optimizer.dynamic_scale), id(optimizer.step_counter)}
    state = variables_of(model, metrics=False)
    variables = [v for v in state if id(v) not in scale]
    halvings = 0
    for step in range(STEPS):
        before = values_of(variables)
        model.train_on_batch(*next(data))
        moved = [
            not np.array_equal(value, other)
            for value, other in zip(values_of(variables), before, strict=True)
        ]
        assert any(moved) == (step not in BAD)
        halvings += step in BAD
        assert float(optimizer.dynamic_scale) == 2.0 ** (15 - halvings)


def test_an_optimizer_that_scales_losses_is_taken_as_it_is() -> None:
    given = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), 8.0)
    model = make(on_non_finite="reduce_loss_scale", optimizer=given)
    assert model.optimizer is given


def spoilt_forever(steps: int) -> tf.data.Dataset:
    """Returns batches of which each has a gradient that is not finite."""
    x, y = make_data(SIZE)
    x[7] = np.nan
    for labels in y.values():
        labels[7] = np.nan
    return tf.data.Dataset.from_tensors((x, y)).repeat(steps)


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("float32", "reduce_loss_scale"),
        pytest.param("mixed_float16", "skip", marks=pytest.mark.slow),
        pytest.param(
            "mixed_float16", "reduce_loss_scale", marks=pytest.mark.slow
        ),
    ],
)
def test_a_model_learns_after_hundreds_of_bad_steps(
    policy: str, mode: str
) -> None:
    keras.config.set_dtype_policy(policy)
    model = make_model("none")
    compile_model(model, on_non_finite=mode, loss_weights=0.1)
    start = model.get_weights()
    data = make_data(SIZE)
    model.train_on_batch(*data)
    scale = model.optimizer.dynamic_scale
    assert float(scale) == 2.0**15
    wanted = model.get_weights()
    model.set_weights(start)
    with pytest.warns(UserWarning, match="200 of 200 steps of epoch 0"):
        model.fit(spoilt_forever(200), verbose=0)
    assert float(scale) == 0.5  # of which the next step makes 1
    for value, other in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(value, other)
    model.train_on_batch(*data)
    assert float(scale) == 1.0
    tolerance = 1e-6 if policy == "float32" else 2e-3
    for value, other, first in zip(
        model.get_weights(), wanted, start, strict=True
    ):
        moved = np.abs(other - first).max()
        assert moved > 1e-4
        np.testing.assert_allclose(
            value - first, other - first, atol=tolerance * moved
        )


@pytest.mark.parametrize(
    ("initial", "found", "wanted"),
    [
        (2.0**15, 0.0, 1.0),
        (2.0**15, np.inf, 2.0**64),
        pytest.param(2.0**15, 2.0**63, 2.0**63, marks=pytest.mark.slow),
        (2.0**-3, 2.0**-9, 2.0**-3),
        pytest.param(2.0**70, 2.0**80, 2.0**70, marks=pytest.mark.slow),
    ],
)
def test_the_loss_scale_stays_within_bounds(
    initial: float, found: float, wanted: float
) -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=initial
    )
    model = make_model("none")
    compile_model(model, optimizer, on_non_finite="skip", run_eagerly=True)
    optimizer.build(model.trainable_variables)
    optimizer.dynamic_scale.assign(found)
    before = model.get_weights()
    model.train_on_batch(*make_data(SIZE))
    assert float(optimizer.dynamic_scale) == wanted
    for value, other in zip(model.get_weights(), before, strict=True):
        assert np.isfinite(value).all()
        assert not np.array_equal(value, other)


def test_a_loss_scale_does_not_grow_until_nothing_is_finite() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.01), dynamic_growth_steps=1
    )
    model = make_model("none")
    compile_model(model, optimizer, on_non_finite="skip")
    data = tf.data.Dataset.from_tensors(make_data(SIZE)).repeat(160)
    model.fit(data, verbose=0)
    assert model.loss_tracker.training_steps().bad == 0
    assert float(optimizer.dynamic_scale) == 2.0**65


@pytest.mark.parametrize(
    ("auxiliaries", "weighting"),
    [
        ("none", "equal"),
        pytest.param("all", AutoLambda(0.01), marks=pytest.mark.slow),
    ],
)
def test_skipping_in_half_precision(auxiliaries: str, weighting: Any) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make(
        auxiliaries=auxiliaries,
        weighting=weighting,
        loss_weights=0.1,
        run_eagerly=True,
    )
    x, y = make_data(SIZE)
    huge = {task: labels * np.float32(1e6) for task, labels in y.items()}
    infinite = {task: labels * np.float32(np.inf) for task, labels in y.items()}
    bad = x.copy()
    bad[0] = np.nan
    optimizer = model.optimizer
    model.train_on_batch(x, y, meta_data=(x, y))
    scale = {id(optimizer.dynamic_scale), id(optimizer.step_counter)}
    state = variables_of(model, metrics=False)
    variables = [v for v in state if id(v) not in scale]
    before = values_of(variables)
    # What overflows is the scale's fault; what is in the data is not.
    steps = [
        ((x, huge), (x, y), 2.0**14),
        ((x, infinite), (x, y), 2.0**14),
        ((bad, y), (x, y), 2.0**14),
        ((x, huge), (x, y), 2.0**13),
    ]
    if model.weighting.needs_meta_data:
        steps.insert(3, ((x, y), (bad, y), 2.0**14))
    for train, meta, wanted in steps:
        model.train_on_batch(*train, meta_data=meta)
        for value, other in zip(values_of(variables), before, strict=True):
            np.testing.assert_array_equal(value, other)
        assert float(optimizer.dynamic_scale) == wanted
    bad_steps = len(steps)
    found = model.loss_tracker.training_steps()
    assert found[:5] == (bad_steps + 1, bad_steps, 0, bad_steps, bad_steps)


def test_steps_are_taken_as_ever_unless_told_otherwise() -> None:
    model = make(on_non_finite="continue", run_eagerly=True)
    model.train_on_batch(*next(iter(make_batches(bad=True))))
    assert np.isnan(model.encoder.get_weights()[0]).any()


@pytest.mark.parametrize(
    "mode",
    [
        "reduce_loss_scale",
        pytest.param("skip", marks=pytest.mark.slow),
        pytest.param("continue", marks=pytest.mark.slow),
    ],
)
def test_what_was_asked_for_survives_saving(
    mode: str, tmp_path: pathlib.Path
) -> None:
    model = make(auxiliaries="none", on_non_finite=mode, run_eagerly=True)
    model.train_on_batch(*make_data(SIZE))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.on_non_finite == mode
    assert again.get_compile_config() == model.get_compile_config()
    assert type(again.optimizer) is type(model.optimizer)
    pairs = zip(
        model.optimizer.variables, again.optimizer.variables, strict=True
    )
    for one, other in pairs:
        np.testing.assert_array_equal(*values_of([one, other]))


def test_the_choice_is_checked() -> None:
    message = r"`on_non_finite` must be one of \['continue', 'skip', "
    with pytest.raises(ValueError, match=message):
        make(on_non_finite="stop")


@pytest.mark.slow
def test_slices_of_embeddings_are_skipped() -> None:
    inputs = keras.Input((3,), dtype="int32")
    table = keras.layers.Embedding(7, 4)(inputs)
    features = keras.layers.Flatten()(table)
    encoder = keras.Model(inputs, dict.fromkeys(TASKS, features))
    heads = {task: keras.layers.Dense(2) for task in TASKS}
    model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
    compile_model(model, "adam", on_non_finite="reduce_loss_scale")
    x = np.random.default_rng(0).integers(7, size=(SIZE, 3))
    _, y = make_data(SIZE)
    model.train_on_batch(x, y)
    before = model.get_weights()
    y["a"][0] = np.inf
    model.train_on_batch(x, y)
    for value, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
