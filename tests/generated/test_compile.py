"""`compile` with losses, metrics, weights and rules of any kind."""

import functools
from typing import Any

import keras
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux import aggregators, weightings
from keras_selfaux._compile import optimizer_of
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import mutated, odd_values, or_odd
from tests.integration.models import TASKS, make_data, make_model

FAMILY = "compile"

_MSE = keras.losses.MeanSquaredError()
_losses = st.sampled_from(
    ["mse", "mae", "no_such", "huber", _MSE, keras.losses.mean_squared_error]
)
_OPTIMIZER = keras.optimizers.serialize(keras.optimizers.SGD(0.1))
_metrics = st.sampled_from(["mae", "mse", "no_such", None])
_loss_config = keras.losses.serialize(_MSE)
_metric_config = keras.metrics.serialize(keras.metrics.MeanSquaredError())


def _by_task(
    values: st.SearchStrategy[Any],
) -> st.SearchStrategy[Any]:
    keys = st.sampled_from([*TASKS, *TASKS, "d"])
    return st.one_of(
        values,
        st.lists(or_odd(values), max_size=4),
        st.dictionaries(keys, or_odd(values), max_size=4),
    )


_rules = st.sampled_from(
    [
        "equal",
        "dwa",
        "mgda",
        "pcgrad",
        None,
        weightings.Equal(),
        aggregators.MGDA(),
        weightings.Static({("a", "d"): 1.0}),
        weightings.Static({("a", "b"): 2.0}),
        weightings.FAMO(minimum_losses={"d": 1.0}),
    ]
)


@functools.cache
def _model() -> Any:
    return make_model()


def _compile(**arguments: Any) -> Any:
    _model().compile("sgd", run_eagerly=True, **arguments)
    return _model()


def _losses_of(model: Any) -> dict[str, float]:
    x, y = make_data(6)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    return {task: logs[f"{task}_loss"] for task in TASKS}


@examples(15)
@given(_by_task(or_odd(st.one_of(_losses, mutated(_loss_config)))))
@example(_loss_config)
@example({"a": "mse", "b": "mse", "c": len})
@example({"a": "mse", "b": "mse", "c": {"class_name": "Lambda"}})
def test_losses(loss: Any) -> None:
    outcome(FAMILY, lambda: _compile(loss=loss))


@examples(15)
@given(_by_task(or_odd(st.floats(0, 3))))
@example({"a": float("inf")})
@example("abc")
@example(np.array([1.0, 2.0, 3.0]))
def test_loss_weights(weights: Any) -> None:
    model = outcome(
        FAMILY, lambda: _compile(loss="mse", loss_weights=weights)
    ).value
    if model is None:
        return
    assert len(model.edge_scales) == 9
    assert np.isfinite(model.edge_scales).all()


@examples(12)
@given(
    _by_task(or_odd(st.one_of(_metrics, mutated(_metric_config)))),
    st.sampled_from(["metrics", "weighted_metrics"]),
)
@example(len, "metrics")
@example({"a": {"class_name": "NoSuch"}}, "metrics")
@example([["mae"], "mae", ["mae"]], "metrics")
def test_metrics(metrics: Any, argument: str) -> None:
    model = outcome(
        FAMILY, lambda: _compile(loss="mse", **{argument: metrics})
    ).value
    if model is not None:
        outcome(FAMILY, lambda: model.test_on_batch(*make_data(4)))


@examples(12)
@given(or_odd(_rules), or_odd(_rules))
@example("mgda", "equal")
@example(weightings.Static({"d": 1.0}), None)
def test_rules(weighting: Any, aggregator: Any) -> None:
    outcome(
        FAMILY,
        lambda: _compile(
            loss="mse", weighting=weighting, aggregator=aggregator
        ),
    )


@examples(1)
@given(
    st.lists(st.sampled_from(["mse", "mae", "huber"]), min_size=3, max_size=3),
    st.lists(st.floats(0, 2), min_size=3, max_size=3),
)
def test_good_arguments_give_keras_losses(names: Any, scales: Any) -> None:
    losses = dict(zip(TASKS, names, strict=True))
    weights = dict(zip(TASKS, scales, strict=True))
    model = outcome(
        FAMILY, lambda: _compile(loss=losses, loss_weights=weights)
    ).value
    x, y = make_data(6)
    answers = model(x)
    for task, value in _losses_of(model).items():
        present = np.isfinite(y[task][:, 0])
        wanted = keras.losses.get(names[TASKS.index(task)])(
            y[task][present], np.asarray(answers[task])[present]
        )
        np.testing.assert_allclose(value, np.mean(wanted), rtol=1e-5)


@examples(10)
@given(st.one_of(odd_values, mutated(_OPTIMIZER)))
@example("adam")
@example({})
def test_optimizers(optimizer: Any) -> None:
    found = outcome(FAMILY, lambda: optimizer_of(optimizer)).value
    assert found is None or isinstance(found, keras.optimizers.Optimizer)
