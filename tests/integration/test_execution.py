"""Many steps in one execution: the same numbers, traced once."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import _step
from keras_selfaux._execution import _gives_dense_tensors
from keras_selfaux._steps_per_execution import default_steps
from tests.integration.models import (
    TASKS,
    assert_same_weights,
    compile_model,
    copy_weights,
    make_data,
    make_model,
)


def batches(sizes: list[int]) -> tf.data.Dataset:
    """Returns batches of these sizes, as many as there are sizes."""
    x, y = make_data(sum(sizes))
    ends = np.cumsum(sizes)

    def generate() -> Iterator[Any]:
        for size, end in zip(sizes, ends, strict=True):
            rows = slice(end - size, end)
            yield x[rows], {task: values[rows] for task, values in y.items()}

    spec = tf.TensorSpec((None, 2), tf.float32)
    data = tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            tf.TensorSpec((None, 4), tf.float32),
            dict.fromkeys(TASKS, spec),
        ),
    )
    return data.apply(tf.data.experimental.assert_cardinality(len(sizes)))


def trained(steps: int, data: Any, **options: Any) -> tuple[Any, Any]:
    keras.utils.set_random_seed(0)
    model = make_model(batch_norm=True)
    compile_model(
        model,
        keras.optimizers.SGD(0.01),
        metrics=["mae"],
        steps_per_execution=steps,
        jit_compile=steps > 1,
    )
    return model, model.fit(data, verbose=0, **options)


@pytest.mark.slow
def test_steps_in_one_program_equal_steps_one_by_one() -> None:
    # Sizes change within an execution, and 7 is no multiple of 4.
    data = batches([8, 8, 3, 8, 8, 8, 8])
    looped, history = trained(4, data, epochs=2)
    stepped, wanted = trained(1, data, epochs=2)
    assert int(looped.optimizer.iterations) == 14
    assert_same_weights(looped, stepped, 1e-5)
    assert list(history.history) == list(wanted.history)
    for name, values in history.history.items():
        np.testing.assert_allclose(values, wanted.history[name], rtol=1e-4)


@pytest.mark.slow
def test_endless_data_stop_after_the_steps_of_an_epoch() -> None:
    model = make_model()
    compile_model(
        model,
        weighting="auto_lambda",
        steps_per_execution=2,
        jit_compile=True,
    )
    data = batches([8, 8]).repeat()
    model.fit(data, steps_per_epoch=6, epochs=2, verbose=0, meta_data=data)
    assert int(model.optimizer.iterations) == 12
    assert int(model.weighting.optimizer.iterations) == 12


def test_the_step_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traces = []
    take_step = _step.train

    def count(model: Any, data: Any) -> Any:
        traces.append(data)
        return take_step(model, data)

    monkeypatch.setattr(_step, "train", count)
    x, y = make_data(27)  # three batches of 8 and one of 3
    for jit_compile in (True, False):
        traces.clear()
        model = make_model()
        compile_model(model, jit_compile=jit_compile)
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        model.fit(x, y, batch_size=8, epochs=1, verbose=0)
        assert len(traces) == 1
        assert int(model.optimizer.iterations) == 12


def test_a_train_step_of_ones_own_is_what_runs() -> None:
    class Counted(keras_selfaux.SelfAuxModel):
        def train_step(self, data: Any) -> Any:
            return {**super().train_step(data), "extra": tf.constant(3.0)}

    plain = make_model()
    model = Counted.from_config(plain.get_config())
    model.build((None, 4))
    compile_model(model, steps_per_execution=2, jit_compile=True)
    history = model.fit(*make_data(), batch_size=8, verbose=0)
    assert history.history["extra"] == [3.0]
    assert int(model.optimizer.iterations) == 3


def test_only_dense_tensors_are_stacked() -> None:
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[1], [2, 3]]))
    assert not _gives_dense_tensors(iter(ragged))
    assert _gives_dense_tensors(iter(batches([8])))
    assert not _gives_dense_tensors(iter([make_data(8)]))


def test_evaluation_does_not_depend_on_steps_per_execution() -> None:
    x, y = make_data()
    one, many = make_model(), make_model()
    copy_weights(one, many)
    compile_model(one, steps_per_execution=1)
    compile_model(many)
    kwargs = {"batch_size": 5, "verbose": 0}
    first = one.fit(x, y, validation_data=(x, y), **kwargs).history
    second = many.fit(x, y, validation_data=(x, y), **kwargs).history
    for name, values in first.items():
        np.testing.assert_allclose(values, second[name], rtol=1e-5)
    assert many.steps_per_execution == 1  # after `fit`, as before it
    endless = tf.data.Dataset.from_tensors((x, y)).repeat()
    found = many.evaluate(endless, steps=3, return_dict=True, verbose=0)
    wanted = one.evaluate(endless, steps=3, return_dict=True, verbose=0)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-5)
    assert len(many.predict(x, **kwargs)["a"]) == len(x)


def test_a_callback_of_fit_gets_the_steps_that_it_asks_for() -> None:
    x, y = make_data(40)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    found = []

    class Asks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found.append(len(self.model.predict(data, steps=3, verbose=0)["a"]))
            found.append(self.model.evaluate(data, steps=2, verbose=0)[0])
            found.append(self.model.steps_per_execution)

    model = make_model()
    compile_model(model, keras.optimizers.SGD(0.0))
    model.fit(data, epochs=2, verbose=0, callbacks=[Asks()])
    alone = model.evaluate(data, steps=2, verbose=0)[0]
    assert found == pytest.approx([12, alone, 16] * 2)


def test_making_the_train_function_again_forgets_the_old_one() -> None:
    model = make_model()
    compile_model(model)
    data = make_data()
    model.fit(*data, verbose=0)
    model.encoder.trainable = False
    model.make_train_function(force=True)
    before = model.encoder.get_weights()
    model.fit(*data, verbose=0)
    for one, other in zip(before, model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class OnBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


class OnNthBatches(OnBatches):
    """Says by attributes when it acts."""

    counts_steps = True

    def __init__(self, every_n_steps: Any) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps


class OnTestBatches(keras.callbacks.Callback):
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


class Checkpoint(keras.callbacks.ModelCheckpoint):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (dict, 16),
        (lambda: {"steps_per_epoch": 40}, 10),
        (lambda: {"steps_per_epoch": 40, "validation_steps": 6}, 2),
        (lambda: {"steps_per_epoch": 17}, 1),
        (lambda: {"callbacks": [keras.callbacks.EarlyStopping()]}, 16),
        (lambda: {"callbacks": OnBatches()}, 1),
        (lambda: {"callbacks": [OnTestBatches()]}, 1),
        (lambda: {"callbacks": [Checkpoint("m.keras")]}, 1),
        (
            lambda: {"callbacks": keras.callbacks.CallbackList([OnBatches()])},
            1,
        ),
        (lambda: {"callbacks": [keras.callbacks.TerminateOnNaN()]}, 1),
        (
            lambda: {
                "callbacks": [
                    keras.callbacks.LambdaCallback(
                        on_train_batch_end=lambda batch, logs: None
                    )
                ]
            },
            1,
        ),
        (
            lambda: {"callbacks": [keras.callbacks.ModelCheckpoint("m.keras")]},
            16,
        ),
        (lambda: {"callbacks": [OnNthBatches(100)]}, 10),
        (lambda: {"callbacks": [OnNthBatches(48), OnNthBatches(36)]}, 12),
        (lambda: {"callbacks": OnNthBatches(9), "steps_per_epoch": 6}, 3),
        (lambda: {"callbacks": [OnNthBatches(100), OnBatches()]}, 1),
        (lambda: {"callbacks": [OnNthBatches(1)]}, 1),
        (lambda: {"callbacks": [OnNthBatches(None)]}, 1),
        (lambda: {"callbacks": [OnNthBatches(0)]}, 1),
        (lambda: {"callbacks": [OnNthBatches(True)]}, 1),
    ],
)
def test_default_steps(arguments: Callable[[], Any], steps: int) -> None:
    model = make_model()
    compile_model(model)
    assert default_steps(model, arguments()) == steps


def test_a_cap_on_the_steps_of_an_epoch_holds() -> None:
    model = make_model()
    compile_model(model)
    keras.config.set_max_steps_per_epoch(3)
    try:
        assert default_steps(model, {}) == 3
    finally:
        keras.config.set_max_steps_per_epoch(None)


def test_large_and_eager_models_return_after_every_step() -> None:
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([keras.layers.Dense(1100)] * 2),
        {task: keras.layers.Dense(1) for task in TASKS},
    )
    model.build((None, 4))
    compile_model(model)
    assert model.count_params() > 2**20
    assert default_steps(model, {}) == 1
    model = make_model()
    compile_model(model, run_eagerly=True)
    assert default_steps(model, {}) == 1


def test_what_was_asked_for_survives_saving(tmp_path: Any) -> None:
    for given, wanted in ({"steps_per_execution": 3}, 3), ({}, None):
        model = make_model()
        compile_model(model, **given)
        config = model.get_compile_config()
        assert config.get("steps_per_execution") == wanted
        model.save(tmp_path / f"{wanted}.keras")
        loaded = keras.models.load_model(tmp_path / f"{wanted}.keras")
        assert loaded.get_compile_config() == config
