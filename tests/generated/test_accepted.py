"""Values in every form that Keras and NumPy know them by are accepted."""

import functools
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_selfaux import SelfAuxModel, SingleTaskLabels
from keras_selfaux._compile import (
    loss_weights_by_task,
    losses_by_task,
    metrics_by_task,
)
from keras_selfaux.callbacks import CollapsedWeights
from keras_selfaux.layers import BranchedEncoder, HeadBank
from tests.generated.outcomes import examples, outcome
from tests.integration.models import TASKS, compile_model, make_data, make_model

FAMILY = "valid values"
COUNT = 4

_floats = st.sampled_from(["float16", "float32", "float64"])
_integers = st.sampled_from(["int8", "uint8", "int16", "int32", "int64"])
_dtypes = st.one_of(_floats, _integers, st.just("bool"))


def _accepted(call: Any) -> Any:
    found = outcome(FAMILY, call)
    assert found.problem is None
    return found.value


def _forms(one: Any) -> st.SearchStrategy[Any]:
    """Returns one for all tasks, and the same by position and by task."""
    return st.sampled_from([one, [one] * 3, dict.fromkeys(TASKS, one)])


@functools.cache
def _model() -> Any:
    model = make_model()
    compile_model(model, run_eagerly=True, metrics=["mae"])
    return model


@examples(30)
@given(
    st.sampled_from(
        ["mse", "MSE", "mean_squared_error", "MeanSquaredError", "huber"]
    ).flatmap(_forms)
)
def test_losses(loss: Any) -> None:
    made = _accepted(lambda: losses_by_task(loss, TASKS))
    assert all(isinstance(made[t], keras.losses.Loss) for t in TASKS)


@examples(30)
@given(
    st.sampled_from(
        ["acc", "Acc", "ACC", "accuracy", "mae", "MAE", "MeanAbsoluteError"]
    )
)
def test_metrics(name: str) -> None:
    for metrics in (name, [name], {"a": name}, {"a": [name]}, [[name]] * 3):
        made = _accepted(functools.partial(metrics_by_task, metrics, TASKS))
        assert made["a"] == [name]


@examples(30)
@given(
    st.sampled_from([1, 2.5, np.float32(0.5), np.int64(2), np.float64(0)]),
    st.booleans(),
)
def test_loss_weights(weight: Any, by_task: bool) -> None:
    given_ = dict.fromkeys(TASKS, weight) if by_task else [weight] * 3
    made = _accepted(lambda: loss_weights_by_task(given_, TASKS))
    assert made == dict.fromkeys(TASKS, float(weight))


@pytest.mark.parametrize("stack", [True, False, np.True_, np.False_, 1, 0])
def test_stacks(stack: Any) -> None:
    layer = keras.layers.Dense(2)

    def make() -> Any:
        encoder = BranchedEncoder([layer], 1, stack=stack)
        HeadBank({"a": layer}, stack=stack)
        return SelfAuxModel(encoder, {"a": layer, "b": layer}, stack=stack)

    answers = _accepted(make)(np.ones((2, 3)))
    assert {task: y.shape for task, y in answers.items()} == {
        "a": (2, 2),
        "b": (2, 2),
    }


@examples(6)
@given(_dtypes, st.sampled_from(["task", "tensor", "list"]), st.booleans())
def test_labels(dtype: str, form: str, trains: bool) -> None:
    one = np.ones((COUNT, 2), dtype)
    y = {
        "task": dict.fromkeys(TASKS, one),
        "tensor": np.stack([one] * 3, 1),
        "list": [one] * 3,
    }[form]
    x = make_data(COUNT)[0]
    step = _model().train_on_batch if trains else _model().test_on_batch
    assert np.isfinite(_accepted(lambda: step(x, y, return_dict=True))["loss"])


@examples(6)
@given(_dtypes, st.booleans(), st.booleans())
def test_sample_weights(dtype: str, by_task: bool, fits: bool) -> None:
    x, y = make_data(COUNT)
    one = np.ones(COUNT, dtype)
    weight = dict.fromkeys(TASKS, one) if by_task else one
    if fits:
        _accepted(
            lambda: _model().fit(x, y, sample_weight=weight, verbose=0).history
        )
    else:
        _accepted(lambda: _model().test_on_batch(x, y, sample_weight=weight))


@examples(5)
@given(_integers)
def test_numbers_of_tasks(dtype: str) -> None:
    owner = np.array([0, 1, 2, 0], dtype)
    y = SingleTaskLabels(np.ones((COUNT, 2)), owner)
    x = make_data(COUNT)[0]
    logs = _accepted(lambda: _model().train_on_batch(x, y, return_dict=True))
    assert np.isfinite(logs["loss"])


@pytest.mark.parametrize("largest", [2, np.float32(9), float("inf")])
def test_growth_of_any_size(largest: Any) -> None:
    made = _accepted(lambda: CollapsedWeights(largest_growth=largest))
    assert made.largest_growth == largest
