"""Δm of any results, against its formula."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux import metrics
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import odd_values, or_odd

FAMILY = "delta_m"

_values = st.floats(-1e6, 1e6)
_of_task = st.dictionaries(
    st.sampled_from(["mae", "iou"]), or_odd(_values), max_size=2
)
_scores = st.dictionaries(st.sampled_from("ab"), or_odd(_of_task), max_size=2)
_directions = st.dictionaries(
    st.sampled_from(["mae", "iou", "a", "b", "x"]),
    or_odd(
        st.one_of(
            st.booleans(),
            st.dictionaries(
                st.sampled_from(["mae", "iou"]), or_odd(st.booleans())
            ),
        )
    ),
    max_size=2,
)


@examples(60)
@given(or_odd(_scores), or_odd(_scores), or_odd(_directions))
@example({"a": {"mae": 1.0}}, {"a": {"mae": None}}, None)
@example({"a": {"mae": "1"}}, {"a": {"mae": 1.0}}, None)
@example({"a": {"mae": 1.0}}, {"a": {"mae": 1.0}}, {"mae": "yes"})
@example({"a": {"mae": 1.0}}, {"a": {"mae": [None, []]}}, None)
@example({"a": None}, {"a": {"mae": 1.0}}, None)
@example({"a": {"mae": 1.0}}, {"a": {"mae": 10**400}}, None)
@example([["a"]], {"a": {"mae": 1.0}}, None)
def test_anything(results: Any, baselines: Any, directions: Any) -> None:
    value = outcome(
        FAMILY, lambda: metrics.delta_m(results, baselines, directions)
    ).value
    if value is not None:
        wanted = _by_formula(results, baselines, directions or {})
        assert value == pytest.approx(wanted, nan_ok=True)


@examples(30)
@given(
    st.fixed_dictionaries(
        {
            t: st.fixed_dictionaries({"mae": _values, "iou": _values})
            for t in "ab"
        }
    ),
    st.fixed_dictionaries(
        {
            t: st.fixed_dictionaries(
                {
                    "mae": st.floats(1e-3, 1e3),
                    "iou": st.floats(-1e3, -1e-3),
                }
            )
            for t in "ab"
        }
    ),
    st.booleans(),
)
def test_good_ones(results: Any, baselines: Any, higher: bool) -> None:
    directions = {"iou": higher, "a": {"mae": True}}
    value = outcome(
        FAMILY, lambda: metrics.delta_m(results, baselines, directions)
    ).value
    wanted = _by_formula(results, baselines, directions)
    assert value == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def _by_formula(results: Any, baselines: Any, directions: Any) -> float:
    total = 0.0
    for task, of_task in baselines.items():
        changes = []
        for name, single in of_task.items():
            higher = directions.get(name, False) is True
            own = directions.get(task)
            if isinstance(own, dict) and name in own:
                higher = own[name]
            change = (results[task][name] - single) / abs(single)
            changes.append(change if higher else -change)
        total += 100 * math.fsum(changes) / len(changes)
    return total / len(baselines)


@examples(20)
@given(odd_values, odd_values)
def test_changes_of_anything(results: Any, baselines: Any) -> None:
    outcome(FAMILY, lambda: metrics.task_changes(results, baselines))
