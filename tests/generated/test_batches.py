"""Batches whose labels, sample weights or inputs do not fit the model."""

import functools
from typing import Any

import keras
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import keras_selfaux
from keras_selfaux import SingleTaskLabels
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import odd_values, or_odd
from tests.integration.models import TASKS, compile_model, make_data, make_model

FAMILY = "batches"
COUNT = 4

# What Keras's data adapters say before this package sees anything.
_BY_KERAS = (
    "Unrecognized data type|cardinality is ambiguous|Invalid dtype|"
    "Expected all elements|You should provide one|multiple outputs, when"
)

_shapes = st.lists(st.integers(0, 4), max_size=3).map(
    lambda rest: (COUNT, *rest)
)
_arrays = st.builds(
    lambda shape, dtype, fill: np.full(shape, fill).astype(dtype),
    st.one_of(st.just((COUNT, 2)), st.just((COUNT,)), _shapes, st.just((3, 2))),
    st.sampled_from(
        ["float32", "float64", "int64", "uint8", "bool", "float16"]
    ),
    st.sampled_from([0.0, 1.0]),
)
_texts = st.just(np.array(["a"] * COUNT))
_objects = st.just(np.array([None, {}, "a", 1], object))
_ragged = st.just([[1.0], [1.0, 2.0], [], [3.0]])
_values = st.one_of(_arrays, _arrays, _arrays, _texts, _objects, _ragged)
_tasks = st.sampled_from([*TASKS, *TASKS, *TASKS, "d"])


def _by_task(values: Any, least: int = 3) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries(dict.fromkeys(TASKS, values)),
        st.dictionaries(_tasks, values, min_size=least, max_size=4),
        st.lists(values, max_size=4),
        values,
    )


@functools.cache
def _model(weighting: str = "equal") -> Any:
    model = make_model()
    compile_model(model, run_eagerly=True, metrics=["mae"], weighting=weighting)
    return model


def _weights() -> list[np.ndarray]:
    return [np.array(value) for value in _model().get_weights()]


def _unharmed(before: list[np.ndarray]) -> bool:
    """Whether a batch that was refused has left the weights as they were."""
    return all(
        np.array_equal(old, new, equal_nan=True)
        for old, new in zip(before, _model().get_weights(), strict=True)
    )


@examples(5)
@given(or_odd(_by_task(_values)), st.booleans())
@example({task: np.array(["a"] * COUNT) for task in TASKS}, True)
@example(dict.fromkeys(TASKS), True)
@example({task: np.ones((1, 2)) for task in TASKS}, True)
@example({task: np.ones((COUNT, 3)) for task in TASKS}, False)
def test_labels(y: Any, trains: bool) -> None:
    model, x = _model(), make_data(COUNT)[0]
    before = _weights()
    step = model.train_on_batch if trains else model.test_on_batch
    found = outcome(FAMILY, lambda: step(x, y))
    if found.problem is not None:
        assert _unharmed(before)


@examples(4)
@given(or_odd(_by_task(_values, 0)))
@example({"a": np.ones(3)})
@example({"a": "heavy"})
@example({"a": np.ones((COUNT, 2))})
@example({1: np.ones(COUNT), "d": np.ones(COUNT)})
def test_sample_weights(weights: Any) -> None:
    x, y = make_data(COUNT)
    before = _weights()
    found = outcome(
        FAMILY, lambda: _model().train_on_batch(x, y, sample_weight=weights)
    )
    if found.problem is not None:
        assert _unharmed(before)


@examples(3)
@given(_arrays)
@example(np.ones((COUNT, 3), "float32"))
@example(np.ones((4, 3), "float32"))
@example(np.ones((3, 4), "float32"))
def test_inputs(x: Any) -> None:
    y = make_data(COUNT)[1]
    before = _weights()
    found = outcome(FAMILY, lambda: _model().train_on_batch(x, y))
    if found.problem is not None:
        assert _unharmed(before)


@examples(3)
@given(
    or_odd(_by_task(_values)),
    or_odd(st.none()),
)
@example({"a": np.ones((COUNT, 2))}, None)
@example(np.float32(0.5), None)
@example(dict.fromkeys(TASKS, np.ones((3, 2))), None)
@example(dict.fromkeys(TASKS, np.ones((COUNT, 3))), None)
def test_fit(y: Any, weights: Any) -> None:
    x = make_data(COUNT)[0]
    outcome(
        FAMILY,
        lambda: _model().fit(x, y, sample_weight=weights, verbose=0),
        by_keras=_BY_KERAS,
    )


@examples(3)
@given(
    st.one_of(_arrays, _texts, _ragged),
    st.one_of(st.just(np.arange(COUNT)), _arrays, _texts),
    st.one_of(st.none(), _arrays, _texts),
)
@example(np.ones((COUNT, 2)), np.ones((COUNT, 1)), None)
@example(np.ones((3, 2)), np.arange(COUNT), None)
def test_labels_of_single_tasks(labels: Any, task: Any, weight: Any) -> None:
    y = SingleTaskLabels(labels, task)
    x = make_data(COUNT)[0]
    outcome(FAMILY, lambda: _model().train_on_batch(x, y, sample_weight=weight))


@examples(3)
@given(
    st.one_of(
        odd_values,
        st.tuples(_arrays, or_odd(_by_task(_values))),
        st.lists(_arrays, max_size=4),
    )
)
@example(None)
@example((np.ones((COUNT, 4)), {"a": np.ones((COUNT, 2))}))
@example((np.ones((COUNT, 3)), dict.fromkeys(TASKS, np.ones((COUNT, 2)))))
def test_meta_data(meta_data: Any) -> None:
    x, y = make_data(COUNT)
    outcome(
        FAMILY,
        lambda: _model("auto_lambda").fit(x, y, meta_data=meta_data, verbose=0),
    )


def test_a_graph_tells_as_much_as_an_eager_step() -> None:
    model = make_model()
    compile_model(model)
    x, y = make_data(COUNT)
    y["b"] = y["b"][:, [0, 0, 0]]
    found = outcome(FAMILY, lambda: model.fit(x, y, verbose=0))
    assert "task 'b' cannot compare labels" in str(found.problem)


def test_predictions_of_other_inputs_are_refused() -> None:
    """Twelve numbers could be three samples of four, instead of four."""
    found = outcome(
        FAMILY, lambda: _model().predict(np.ones((4, 3)), verbose=0)
    )
    assert "cannot take inputs of another shape" in str(found.problem)


def test_a_loss_that_fails_is_named() -> None:
    encoder = keras_selfaux.layers.BranchedEncoder([keras.layers.Dense(3)], 1)
    model = keras_selfaux.SelfAuxModel(
        encoder, {"a": keras.layers.Dense(2), "b": keras.layers.Dense(2)}
    )
    model.compile("sgd", loss={"a": "mse", "b": len}, run_eagerly=True)
    y = {task: np.ones((2, 2)) for task in "ab"}
    found = outcome(FAMILY, lambda: model.train_on_batch(np.ones((2, 4)), y))
    assert "task 'b'" in str(found.problem)
