import math
from collections.abc import Callable

import pytest

from keras_selfaux import _checks


def test_errors_say_what_is_wrong_what_was_received_and_the_remedy() -> None:
    problem = _checks.error("`a` is bad.", received="a=1", remedy="Pass 2.")
    assert isinstance(problem, ValueError)
    assert str(problem) == "`a` is bad. Received: a=1. Pass 2."


@pytest.mark.parametrize("value", [None, "branch"])
def test_a_choice_is_accepted(value: object) -> None:
    _checks.check_choice("normalize", value, (None, "branch"))


def test_no_choice() -> None:
    with pytest.raises(
        ValueError,
        match=r"`mode` must be one of \['a', 'b'\]. Received: mode='c'",
    ):
        _checks.check_choice("mode", "c", ("b", "a"))


@pytest.mark.parametrize("value", [1, 0.5, 1e-12])
def test_positive_numbers_are_accepted(value: float) -> None:
    _checks.check_positive("rate", value)


@pytest.mark.parametrize("value", [-1, -0.5, math.nan, "1", None, True, [1]])
@pytest.mark.parametrize("zero", [False, True])
def test_what_is_no_positive_number(value: object, zero: bool) -> None:
    with pytest.raises(
        ValueError,
        match=r"`rate` must be .*a positive number. Received: rate=.*"
        "Pass .*a positive number",
    ):
        _checks.check_positive("rate", value, zero=zero)


def test_zero_only_where_allowed() -> None:
    _checks.check_positive("weight", 0.0, zero=True)
    with pytest.raises(
        ValueError, match=r"`weight` must be a positive number. Received: .*0"
    ):
        _checks.check_positive("weight", 0.0)


@pytest.mark.parametrize("make", [list, tuple, iter, dict.fromkeys])
def test_same_tasks_in_any_order(make: Callable) -> None:
    _checks.check_same_tasks("loss", make(["b", "a"]), ["a", "b"])


def test_missing_and_unknown_tasks_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"`loss` must have one entry per task \['a', 'b'\]. Received: "
        r"keys \['b', 'c'\] \(missing: \['a'\], unknown: \['c'\]\)",
    ):
        _checks.check_same_tasks("loss", ["b", "c"], ["a", "b"])
