"""The callback: when it measures, on what, and that nobody notices."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import _affinity
from keras_selfaux.callbacks import LookaheadAffinity, _lookahead_affinity
from tests.integration.models import (
    TASKS,
    compile_model,
    copy_weights,
    make_data,
    make_model,
)
from tests.replicas import two_replicas


def fit(model: Any, callback: Any = None, **arguments: Any) -> Any:
    """Trains on `make_data`: an epoch is six steps."""
    arguments = {"batch_size": 4, "epochs": 2, "shuffle": False, **arguments}
    callbacks = [] if callback is None else [callback]
    return model.fit(*make_data(), verbose=0, callbacks=callbacks, **arguments)


def drive(
    model: Any, callback: Any, *, epochs: int = 1, steps: int = 1
) -> None:
    """Does as `fit` does to a callback, and trains nothing."""
    callback.set_model(model)
    callback.set_params({"steps": 6})
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for start in range(0, 6, steps):
            count = 6 * epoch + min(start + steps, 6)
            model.optimizer.iterations.assign(count)
            callback.on_train_batch_end(start + steps - 1)  # as Keras says


class Measurements:
    """Stands in for `measure` and notes how it is called, step by step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[int] = []
        self.rates: list[float] = []
        self.batches: list[Any] = []
        monkeypatch.setattr(_lookahead_affinity, "measure", self)

    def __call__(
        self, model: Any, plan: Any, data: Any, meta: Any, rate: Any, exact: Any
    ) -> _affinity.Affinities:
        self.steps.append(int(model.optimizer.iterations))
        self.rates.append(float(rate))
        self.batches.append((data, meta))
        values = tf.fill((3, 3), float(len(self.steps)))
        return _affinity.Affinities(values if exact else None, values, values)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> Measurements:
    return Measurements(monkeypatch)


def eager_model(optimizer: Any = None, steps: int = 1) -> Any:
    model = make_model("none")
    compile_model(model, optimizer, run_eagerly=True, steps_per_execution=steps)
    return model


# When.


@pytest.mark.parametrize(
    ("steps", "interval", "found"),
    [
        (1, 1, list(range(1, 13))),
        (1, 5, [5, 10]),
        # An epoch of 6 steps: 4, then the 2 that are left.
        (4, 4, [4, 10, 12]),
        (4, 5, [6, 10]),
        (4, 2, [4, 6, 10, 12]),
        (2, 12, [12]),
        (2, 13, []),
    ],
)
def test_the_first_return_at_or_after_every_nth_step(
    steps: int, interval: int, found: list[int], measurements: Measurements
) -> None:
    callback = LookaheadAffinity(make_data(), every_n_steps=interval)
    model = eager_model()
    drive(model, callback, epochs=2, steps=steps)
    assert measurements.steps == found
    assert callback.num_measurements == len(found)


def test_fit_says_how_many_steps_it_has_taken(
    measurements: Measurements,
) -> None:
    callback = LookaheadAffinity(make_data(), every_n_steps=5)
    fit(eager_model(steps=4), callback, epochs=1)
    assert measurements.steps == [6]


def test_fit_takes_as_many_steps_at_once_as_divide_the_interval() -> None:
    steps = []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            steps.append(self.model.steps_per_execution)

    model = make_model("none")
    compile_model(model)
    callback = LookaheadAffinity(make_data(), every_n_steps=100)
    model.fit(*make_data(), verbose=0, callbacks=[callback, Note()])
    assert steps == [10]


def test_the_current_learning_rate_of_the_optimizer(
    measurements: Measurements,
) -> None:
    schedule = keras.optimizers.schedules.PolynomialDecay(0.5, 10, 0.0)
    optimizer = keras.optimizers.SGD(schedule)
    callback = LookaheadAffinity(make_data(), every_n_steps=2)
    drive(eager_model(optimizer), callback)
    assert measurements.rates == pytest.approx([0.4, 0.3, 0.2])


def test_a_learning_rate_of_its_own(measurements: Measurements) -> None:
    callback = LookaheadAffinity(
        make_data(), every_n_steps=6, learning_rate=0.25
    )
    drive(eager_model(), callback)
    assert measurements.rates == [0.25]


# What.


def test_means_of_what_could_be_measured() -> None:
    x, y = make_data(12, missing=False)
    without_b = {**y, "b": np.full_like(y["b"], np.nan)}
    without_c = {**y, "c": np.full_like(y["c"], np.nan)}
    batches = [(x, without_b), (x, without_c), (x + 1, without_c)]
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=keras.tree.map_structure(
            lambda v: tf.TensorSpec((12, v.shape[1])), batches[0]
        ),
    )
    model = eager_model()
    callback = LookaheadAffinity(data, every_n_steps=1, learning_rate=0.1)
    drive(model, callback)
    assert callback.num_measurements == 6
    plan = _affinity.plan_of_primaries(model)
    found = [
        _affinity.measure(model, plan, batch, None, 0.1, exact=True)
        for batch in batches
    ]
    for name, values in (
        ("affinity", [f.exact for f in found]),
        ("first_order", [f.first_order for f in found]),
        ("cosine", [f.cosine for f in found]),
    ):
        first, *others = np.array(values, "float64")
        wanted = np.where(np.isnan(others[0]), first, np.mean(others, axis=0))
        wanted[0, 0] = np.mean([first, *others], axis=0)[0, 0]
        result = getattr(callback, name)
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(
            np.isnan(result),
            [[False] * 3, [False, False, True], [False, True, False]],
        )
    assert callback.tasks == tuple(TASKS)


def test_results_are_copies_and_every_fit_starts_afresh(
    measurements: Measurements,
) -> None:
    callback = LookaheadAffinity(make_data(), every_n_steps=6, exact=False)
    assert callback.affinity.shape == (0, 0)
    model = eager_model()
    drive(model, callback, epochs=2)
    callback.first_order[:] = 5.0
    np.testing.assert_array_equal(callback.first_order, np.full((3, 3), 1.5))
    assert callback.first_order.dtype == np.float64
    assert np.all(np.isnan(callback.affinity))  # not asked for
    drive(model, callback)
    assert callback.num_measurements == 1
    np.testing.assert_array_equal(callback.cosine, np.full((3, 3), 3.0))


def test_batches_and_meta_batches(measurements: Measurements) -> None:
    data = tf.data.Dataset.from_tensor_slices(make_data()).batch(8)
    callback = LookaheadAffinity(
        data, make_data(), every_n_steps=2, batch_size=5
    )
    drive(eager_model(), callback)
    sizes = [(len(t[0]), len(m[0])) for t, m in measurements.batches]
    assert sizes == [(8, 5)] * 3
    first, second = (np.array(m[0]) for _, m in measurements.batches[:2])
    assert not np.array_equal(first, second)
    x, _ = make_data()
    assert all((x == row).all(axis=1).any() for row in first)


@pytest.mark.slow
def test_one_trace_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def count(*arguments: Any, **options: Any) -> Any:
        shapes.append(arguments[2][0].shape)
        return _affinity.measure(*arguments, **options)

    monkeypatch.setattr(_lookahead_affinity, "measure", count)
    data = tf.data.Dataset.from_tensor_slices(make_data()).batch(9)
    model = make_model("none")
    compile_model(model, steps_per_execution=2)
    callback = LookaheadAffinity(data, every_n_steps=2, exact=False)
    fit(model, callback, epochs=1)
    fit(model, callback, epochs=1)
    assert callback.num_measurements == 3
    assert shapes == [(9, 4), (6, 4)]
    compile_model(model, run_eagerly=True)
    drive(model, callback)
    assert len(shapes) == 5  # compiled anew: three times by hand


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True},
        pytest.param({"jit_compile": False}, marks=pytest.mark.slow),
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ],
)
def test_training_goes_on_as_without(options: Any) -> None:
    found = []
    for callback in (
        None,
        LookaheadAffinity(make_data(), make_data(), every_n_steps=2),
    ):
        keras.utils.set_random_seed(0)
        model = make_model(dropout=0.3, batch_norm=True)
        compile_model(
            model,
            "adam",
            metrics=["mae"],
            steps_per_execution=2,
            **options,
        )
        history = fit(model, callback, epochs=1, shuffle=True).history
        state = [*model.variables, *model.optimizer.variables]
        found.append([history, *(np.array(v) for v in state)])
    assert callback.num_measurements == 3
    assert np.all(np.isfinite(callback.affinity))
    for one, other in zip(*found, strict=True):
        np.testing.assert_equal(one, other)


def test_half_precision_stays_finite() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model()
    compile_model(model, run_eagerly=True)
    callback = LookaheadAffinity(make_data(), every_n_steps=3)
    fit(model, callback, epochs=1)
    for values in (callback.affinity, callback.first_order, callback.cosine):
        assert np.all(np.isfinite(values))


def mirrored_copy(model: Any) -> Any:
    with two_replicas().scope():
        mirrored = make_model()
        copy_weights(model, mirrored)
        compile_model(mirrored)
    return mirrored


@pytest.mark.slow
@pytest.mark.parametrize("within", [False, True])
def test_two_replicas_measure_what_one_does(within: bool) -> None:
    model = make_model()
    mirrored = mirrored_copy(model)
    compile_model(model, steps_per_execution=1)
    callbacks = [
        LookaheadAffinity(make_data(), every_n_steps=2) for _ in range(2)
    ]
    fit(model, callbacks[0])
    if within:
        with two_replicas().scope():
            fit(mirrored, callbacks[1])
    else:
        fit(mirrored, callbacks[1])
    for name in ("affinity", "first_order", "cosine"):
        np.testing.assert_allclose(
            *(getattr(callback, name) for callback in callbacks), atol=2e-6
        )


# Errors.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"train_data": 3},
            r"`train_data` must be a tf.data.Dataset, a PyDataset, or a tuple "
            r"\(x, y\).* Received: int. Pass data in one of these forms",
        ),
        (
            {"meta_data": "validation"},
            r"`meta_data` must be a tf.data.Dataset.* Received: str. Pass held",
        ),
        ({"every_n_steps": 0}, r"`every_n_steps` must be an integer of at le"),
        ({"exact": None}, r"`exact` must be one of \[True, False\]. Received"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be a positive number"),
        ({"batch_size": 2.0}, r"`batch_size` must be an integer of at least 1"),
        ({"seed": -1}, r"`seed` must be an integer of at least 0. Received"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LookaheadAffinity(**{"train_data": make_data(), **arguments})


def test_a_model_whose_tasks_share_nothing() -> None:
    model = make_model(paths=0)
    compile_model(model, run_eagerly=True)
    with pytest.raises(ValueError, match="a model whose tasks share none"):
        drive(model, LookaheadAffinity(make_data()))


def test_a_plain_model() -> None:
    model = make_model("none").inference_model
    compile_model(model, run_eagerly=True)
    with pytest.raises(
        ValueError,
        match=r"`LookaheadAffinity` needs a model with several tasks. "
        r"Received: Functional. Use it in `fit` of a `SelfAuxModel`",
    ):
        drive(model, LookaheadAffinity(make_data()))


def test_several_learning_rates() -> None:
    sgd = keras.optimizers.SGD(0.1)
    optimizer = keras.optimizers.MultiOptimizer(lambda variable: sgd)
    with pytest.raises(
        ValueError,
        match=r"`LookaheadAffinity` needs one learning rate. Received: a "
        r"MultiOptimizer. Pass `learning_rate`",
    ):
        drive(eager_model(optimizer), LookaheadAffinity(make_data()))
