import math
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux import _checks
from keras_selfaux.losses._resolve import FunctionLoss


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
        match=r"`mode` must be one of \['b', 'a'\]. Received: mode='c'",
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


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        (np.int64(8), (8, 16)),
        (np.float32(8), (8, 16)),
        (np.True_, (True, False)),
        (0, (True, False)),
        (np.str_("a"), ("a", "b")),
    ],
)
def test_a_choice_may_be_of_another_type(value: Any, choices: Any) -> None:
    _checks.check_choice("mode", value, choices)


def test_choices_are_listed_as_given() -> None:
    with pytest.raises(ValueError, match=r"one of \[8, 16, 32\]. Received"):
        _checks.check_choice("stride", np.array([8]), (8, 16, 32))


def test_infinity_only_where_allowed() -> None:
    _checks.check_positive("tolerance", math.inf, infinite=True)
    for value, infinite in ((math.inf, False), (-math.inf, True)):
        with pytest.raises(ValueError, match="must be a positive number"):
            _checks.check_positive("tolerance", value, infinite=infinite)


class OldArray:
    """What warns when NumPy reads it, as `keras.Variable` does."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None) -> Any:
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        return np.array(self.values)


@pytest.mark.filterwarnings("default")
def test_only_lost_imaginary_parts_are_an_error() -> None:
    with pytest.warns(DeprecationWarning, match="old|copy"):
        found = _checks.as_numbers("gains", OldArray([1, 2]))
    np.testing.assert_array_equal(found, [1.0, 2.0])
    for values in ([1j], np.array([1j])):
        with pytest.raises(ValueError, match="`gains` must be an array of num"):
            _checks.as_numbers("gains", values)


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError("h5"),
        OSError("truncated file"),
        RecursionError(),
        zipfile.BadZipFile(),
        KeyError("a"),
    ],
)
def test_what_may_come_of_damage(problem: Exception) -> None:
    assert _checks.is_damage(problem)


@pytest.mark.parametrize(
    "problem",
    [MemoryError(), PermissionError(13, "no"), OSError(5, "input/output")],
)
def test_what_does_not_come_of_damage(problem: Exception) -> None:
    assert not _checks.is_damage(problem)


def test_whose_code_a_loss_runs() -> None:
    def own(y_true: Any, y_pred: Any) -> Any:
        return y_pred - y_true

    class Own(keras.losses.MeanSquaredError):
        """A user's loss."""

    wrap = keras.metrics.MeanMetricWrapper
    mse = keras.losses.mean_squared_error
    for rule in (Own(), FunctionLoss(own), wrap(own), own):
        assert _checks.is_users_own(rule)
    for rule in (keras.losses.Huber(), FunctionLoss(mse), wrap(mse), len):
        assert not _checks.is_users_own(rule)
