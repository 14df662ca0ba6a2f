import warnings
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux._steps_per_execution import default_steps
from keras_selfaux.callbacks import FiniteLosses
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import (
    TASKS,
    compile_model,
    make_data,
    make_model,
)
from tests.replicas import two_replicas

SIZE = 12


def spoilt_data(steps: int, *bad: int, task: str = "b") -> Any:
    """Returns data with an infinite label of a task in some batches."""
    x, y = make_data(steps * SIZE)
    for step in bad:
        sample = step * SIZE + 6 + (TASKS.index(task) - step * SIZE - 6) % 3
        assert np.isfinite(y[task][sample]).all()
        y[task][sample] = np.inf
    return x, y


def spoil_bias(model: Any, edge: tuple[str, str]) -> None:
    """Makes the predictions of one head infinite."""
    kernel, bias = model.head_bank.edge_weights(edge)
    infinite = np.full_like(bias, np.inf)
    model.head_bank.set_edge_weights(edge, [kernel, infinite])


def reports(warned: Any) -> list[str]:
    """Returns the warnings of skipped steps; Keras has others."""
    texts = [str(warning.message) for warning in warned]
    return [text for text in texts if "skipped" in text]


def fit(model: Any, data: Any, *others: Any, **arguments: Any) -> None:
    arguments.setdefault("callbacks", [*others, FiniteLosses()])
    model.fit(*data, batch_size=SIZE, shuffle=False, verbose=0, **arguments)


def test_a_loss_that_is_not_finite_is_named() -> None:
    model = make_model("none")
    compile_model(model)
    message = (
        r"The losses of tasks \['b'\] are not finite. Received: NaN or "
        r"infinity in epoch 0, step 1. .*global_clipnorm.*on_non_finite"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, spoilt_data(2, 1))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"steps_per_execution": 4},
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        pytest.param(
            {"jit_compile": True, "steps_per_execution": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_very_step_is_named(arguments: Any) -> None:
    model = make_model()
    compile_model(model, **arguments)
    fit(model, spoilt_data(3))
    with pytest.raises(ValueError, match=r"\['b'\] are .* epoch 0, step 21\."):
        fit(model, spoilt_data(34, 21))
    # After the execution of 16 steps that took it there, at the latest.
    assert int(model.optimizer.iterations) <= 3 + 32


def test_later_epochs() -> None:
    model = make_model("none")
    compile_model(model)

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                spoil_bias(model, ("a", "a"))

    with pytest.raises(ValueError, match=r"\['a'\] are .* epoch 2, step 0\."):
        fit(model, spoilt_data(3), Spoil(), epochs=3)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_evaluation_between_steps_does_not_shift_them(
    steps_per_execution: int,
) -> None:
    model = make_model("none")
    compile_model(model, steps_per_execution=steps_per_execution)
    data = make_data(SIZE)

    class Evaluate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.evaluate(*data, verbose=0)

    with pytest.raises(ValueError, match=r"epoch 0, step 8\."):
        fit(model, spoilt_data(12, 8), Evaluate())


def test_a_clone_alone_is_named() -> None:
    model = make_model()
    compile_model(model, run_eagerly=True)
    spoil_bias(model, ("a", "b"))
    message = r"The losses of clones \['a->b'\] are not finite.*step 0\."
    with pytest.raises(ValueError, match=message):
        fit(model, spoilt_data(1))


def test_a_gradient_alone_is_named() -> None:
    model = make_model()
    compile_model(model, run_eagerly=True)
    x, y = make_data(2 * SIZE)
    x[SIZE] = np.nan  # a sample without any label
    for labels in y.values():
        labels[SIZE] = np.nan
    message = r"The gradients are not finite.*epoch 0, step 1\."
    with pytest.raises(ValueError, match=message):
        fit(model, (x, y))


def test_regularization_losses_are_named() -> None:
    model = make_model("none")
    for head in model.head_bank.primary_stacks:
        head.trainable_variables[0].regularizer = keras.regularizers.L2(3e38)
    compile_model(model, run_eagerly=True)
    message = r"The regularization losses are not finite.*epoch 0, step 0\."
    with pytest.raises(ValueError, match=message):
        fit(model, spoilt_data(1))


def test_a_meta_batch_is_named() -> None:
    model = make_model()
    compile_model(model, weighting=AutoLambda(0.01), run_eagerly=True)
    meta = make_data(SIZE)
    meta[0][:] = np.nan
    message = r"The losses of the meta batch are not finite.*step 0\."
    with pytest.raises(ValueError, match=message):
        fit(model, spoilt_data(1), meta_data=meta)
    weights = list(model.task_weights.values())
    assert weights == pytest.approx([0.1] * 9)


def test_missing_labels_are_no_such_losses() -> None:
    model = make_model()
    compile_model(model, run_eagerly=True)
    x, y = make_data(2 * SIZE)
    y["a"][:] = np.nan
    for labels in y.values():
        labels[:SIZE] = np.nan
    fit(model, (x, y), validation_data=(x, y))
    assert int(model.optimizer.iterations) == 2


def test_losses_of_validation_are_named() -> None:
    model = make_model("none")
    compile_model(model, run_eagerly=True)
    good, bad = spoilt_data(1), spoilt_data(4, 3, task="c")
    message = (
        r"The losses of tasks \['c'\] are not finite.*in the validation of "
        r"epoch 0, step 3\. Look for such values in the data that are "
        r"evaluated; if weights have grown too large, go back to an earlier "
        r"checkpoint\.$"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, good, validation_data=bad)
    fit(model, good, validation_data=good)
    message = r"tasks \['c'\] are not finite.*in the evaluation, step 3\."
    with pytest.raises(ValueError, match=message):
        model.evaluate(
            *bad, batch_size=SIZE, verbose=0, callbacks=[FiniteLosses()]
        )


def test_evaluation_after_a_fit_that_failed_is_of_no_epoch() -> None:
    model = make_model("none")
    compile_model(model, run_eagerly=True)
    callback = FiniteLosses()

    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, spoilt_data(1), callbacks=[callback, Fail()])
    with pytest.raises(ValueError, match=r"in the evaluation, step 0\."):
        model.evaluate(*spoilt_data(1, 0), verbose=0, callbacks=[callback])


def test_where_steps_are_skipped_validation_warns() -> None:
    model = make_model("none")
    compile_model(model, run_eagerly=True, on_non_finite="skip")
    message = r"tasks \['a'\] are not finite.*validation of epoch 0, step 1\."
    with pytest.warns(UserWarning, match=message):
        fit(model, spoilt_data(1), validation_data=spoilt_data(2, 1, task="a"))


@pytest.mark.parametrize(
    "auxiliaries", ["none", pytest.param("all", marks=pytest.mark.slow)]
)
def test_skipped_steps_are_warned_of_once(auxiliaries: str) -> None:
    model = make_model(auxiliaries)
    compile_model(model, on_non_finite="skip")
    x, y = spoilt_data(20, 3, 17)
    sample = 18 * SIZE + 2
    assert np.isfinite(y["c"][sample]).all()
    y["c"][sample] = -np.inf
    wanted = (
        "3 of 20 steps of epoch 0 were skipped, since there was NaN or "
        "infinity in the losses of tasks ['b'] (first in step 3), the losses "
        "of tasks ['c'] (first in step 18)."
    )
    for callbacks in ([], [FiniteLosses()], None):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fit(model, (x, y), callbacks=callbacks)
        assert reports(told) == [wanted]
    assert int(model.optimizer.iterations) == 3 * 17


def test_a_list_of_callbacks_that_is_made_already() -> None:
    model = make_model("none")
    compile_model(model, on_non_finite="skip", run_eagerly=True)
    callbacks = keras.callbacks.CallbackList([], True, model=model)
    for _ in range(2):  # the list comes again
        with pytest.warns(UserWarning, match="1 of 2 steps of epoch 0") as told:
            fit(model, spoilt_data(2, 1), callbacks=callbacks)
        assert len(reports(told)) == 1


@pytest.mark.parametrize(
    ("patience", "last"), [(3, 8), (4, None), (None, None)]
)
def test_patience_comes_to_an_end(
    patience: int | None, last: int | None
) -> None:
    model = make_model("none")
    compile_model(model, on_non_finite="skip", run_eagerly=True)
    data = spoilt_data(10, 0, 1, 3, 6, 7, 8)
    wanted: Any = pytest.warns(UserWarning, match="6 of 10 steps of epoch 0")
    if last is not None:
        message = (
            r"3 steps in a row were skipped. Received: NaN or infinity in "
            r"epoch 0 in the losses of tasks \['b'\] \(first in step 0\). "
            r"If weights have grown too large, go back to an earlier "
            r"checkpoint\. Lower the learning rate, clip the gradients "
            r"\(global_clipnorm\), or look for such values in the data\.$"
        )
        wanted = pytest.raises(ValueError, match=message)
    with wanted:
        fit(model, data, callbacks=[FiniteLosses(patience)])
    assert int(model.optimizer.iterations) == (3 if last == 8 else 4)


def test_patience_lasts_over_epochs() -> None:
    model = make_model("none")
    compile_model(model, on_non_finite="skip", run_eagerly=True)
    callback = FiniteLosses(patience=4)
    message = "4 steps in a row were skipped.*in epoch 3 in "

    def run_out_of_patience() -> None:
        with pytest.raises(ValueError, match=message):
            fit(model, spoilt_data(1, 0), epochs=9, callbacks=[callback])

    for _ in range(2):  # another run starts afresh
        with pytest.warns(UserWarning, match="1 of 1 steps of") as told:
            run_out_of_patience()
        assert len(reports(told)) == 3


def test_two_replicas_name_the_same_step() -> None:
    with two_replicas().scope():
        model = make_model("none")
        compile_model(model)
    # Only the second replica meets it.
    message = r"\['b'\] are not finite.*evaluation, step 1\."
    with pytest.raises(ValueError, match=message):
        model.evaluate(
            *spoilt_data(2, 1),
            batch_size=SIZE,
            verbose=0,
            callbacks=[FiniteLosses()],
        )
    with pytest.raises(ValueError, match=r"\['b'\] are .*epoch 0, step 2\."):
        fit(model, spoilt_data(4, 2))


def test_half_precision_may_overflow() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model("none")
    compile_model(model)
    x, y = make_data(2 * SIZE)
    y = {task: labels * np.float32(1e6) for task, labels in y.items()}
    fit(model, (x, y))
    assert float(model.optimizer.dynamic_scale) == 2.0**13
    with pytest.raises(ValueError, match=r"\['b'\] are .*epoch 0, step 1\."):
        fit(model, spoilt_data(2, 1))


def test_half_precision_may_not_overflow_for_ever() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model("none")
    compile_model(model, run_eagerly=True)
    x, y = make_data(4 * SIZE)
    x[::SIZE] = np.nan  # samples without any label
    for labels in y.values():
        labels[::SIZE] = np.nan
    fit(model, (x, y), callbacks=[FiniteLosses(5)])
    message = (
        r"4 steps in a row overflowed\. Received: NaN or infinity in epoch 0 "
        r"in the gradients \(first in step 0\)\. If weights have grown"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, (x, y), callbacks=[FiniteLosses(4)])


def test_many_steps_are_taken_at_a_time() -> None:
    model = make_model("none")
    compile_model(model)
    assert default_steps(model, {"callbacks": [FiniteLosses()]}) == 16


def test_other_models_are_refused() -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    message = "`FiniteLosses` needs a model with several tasks.*Sequential"
    with pytest.raises(ValueError, match=message):
        model.fit(
            np.ones((2, 1)),
            np.ones((2, 1)),
            verbose=0,
            callbacks=[FiniteLosses()],
        )
    with pytest.raises(ValueError, match=message):
        model.evaluate(
            np.ones((2, 1)),
            np.ones((2, 1)),
            verbose=0,
            callbacks=[FiniteLosses()],
        )


@pytest.mark.parametrize("patience", [0, 1.5])
def test_patience_is_checked(patience: Any) -> None:
    message = "`patience` must be an integer of at least 1"
    with pytest.raises(ValueError, match=message):
        FiniteLosses(patience)


def test_finite_losses_train_to_the_end() -> None:
    model = make_model("none")
    compile_model(model)
    model.fit(*make_data(), epochs=2, verbose=0, callbacks=[FiniteLosses()])
    assert int(model.optimizer.iterations) == 2
