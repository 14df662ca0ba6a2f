"""Weightings and aggregators from names, configs and arguments of any kind."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux import TransferGraph, aggregators, weightings
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import mutated, odd_values, or_odd

FAMILY = "rules"
GRAPH = TransferGraph.complete(["a", "b"])

WEIGHTINGS = {*weightings._NAMES.values(), weightings.Static}
AGGREGATORS = {*aggregators._NAMES.values()}
CLASSES = sorted(WEIGHTINGS | AGGREGATORS, key=lambda cls: cls.__name__)

_numbers = st.one_of(
    st.integers(-2, 5), st.floats(-2, 2), st.sampled_from([np.inf, np.nan])
)
_by_task = st.dictionaries(
    st.one_of(
        st.sampled_from("abc"),
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc")),
    ),
    or_odd(_numbers),
    max_size=2,
)
_values = or_odd(
    st.one_of(
        _numbers, _by_task, st.sampled_from(["edge", "task", "branch", "sum"])
    )
)


def _argument_names(cls: type) -> list[str]:
    own = inspect.signature(cls.__init__).parameters
    base = weightings.Weighting
    if not issubclass(cls, base):
        base = aggregators.Aggregator
    names = {*own, *inspect.signature(base.__init__).parameters}
    return sorted(names - {"self", "kwargs"})


def _default(cls: type) -> Any:
    return cls({"a": 2.0}) if cls is weightings.Static else cls()


def _build(rule: Any) -> Any:
    if isinstance(rule, weightings.Weighting):
        rule.build(GRAPH)
        weights = np.asarray(rule.current_weights())
        assert weights.shape == (4,)
        assert (weights >= 0).all()
        assert np.isfinite(weights).all()
    elif isinstance(rule, aggregators.GramianAggregator):
        found = np.asarray(rule.weights([[1.0, 0.5], [0.5, 2.0]]))
        assert np.isfinite(found).all()
    return rule


@pytest.mark.parametrize("cls", CLASSES)
@examples(2)
@given(st.data())
def test_arguments(cls: type, data: Any) -> None:
    names = data.draw(
        st.lists(st.sampled_from(_argument_names(cls)), unique=True, max_size=2)
    )
    if cls is weightings.Static:
        names = {*names, "weights"}
    arguments = {name: data.draw(_values) for name in names}
    rule = outcome(FAMILY, lambda: cls(**arguments)).value
    if rule is None:
        return
    again = cls.from_config(rule.get_config())
    assert repr(again.get_config()) == repr(rule.get_config())
    outcome(FAMILY, lambda: _build(rule))


@examples(40)
@given(st.one_of(odd_values, st.text(max_size=8)), st.booleans())
@example({"class_name": 1}, True)
@example({"class_name": "NoSuch", "config": {}}, True)
@example({"class_name": "Equal", "config": {"no_such": 1}}, True)
@example({"class_name": "Equal", "config": 3}, True)
@example({"class_name": "Dense", "module": "keras.layers", "config": {}}, True)
@example({"class_name": "MGDA", "config": {}}, True)
def test_identifiers(identifier: Any, is_weighting: bool) -> None:
    family = weightings if is_weighting else aggregators
    base = family.Weighting if is_weighting else family.Aggregator
    found = outcome(FAMILY, lambda: family.get(identifier)).value
    assert found is None or isinstance(found, base)
    outcome(FAMILY, lambda: family.deserialize(identifier))


@examples(12)
@given(st.data())
def test_mutated_configs(data: Any) -> None:
    cls = data.draw(st.sampled_from(CLASSES))
    family = weightings if cls in WEIGHTINGS else aggregators
    config = data.draw(mutated(family.serialize(_default(cls))))
    rule = outcome(FAMILY, lambda: family.get(config)).value
    if rule is not None:
        outcome(FAMILY, lambda: _build(rule))


@examples(6)
@given(
    or_odd(
        st.lists(
            st.lists(_numbers, min_size=2, max_size=3), min_size=2, max_size=3
        )
    )
)
@example([[1.0, 2.0], [1.0]])
@example("ab")
def test_gramians(gramian: Any) -> None:
    rule = aggregators.CAGrad()
    found = outcome(FAMILY, lambda: rule.weights(gramian)).value
    if found is not None and np.isfinite(np.asarray(gramian)).all():
        assert found.shape[0] == len(gramian)
