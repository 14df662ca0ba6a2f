import math

import numpy as np
import pytest

from keras_selfaux.metrics import delta_m, task_changes

BASELINES = {
    "seg": {"miou": 0.5, "accuracy": 0.8},
    "depth": {"error": 0.2},
}
RESULTS = {
    "seg": {"miou": 0.6, "accuracy": 0.76},
    "depth": {"error": 0.25},
}
HIGHER = {"miou": True, "accuracy": True}


def test_closed_form():
    # seg: mean of +20 % and -5 %; depth: an error up by 25 %.
    changes = task_changes(RESULTS, BASELINES, HIGHER)
    assert changes == pytest.approx({"seg": 7.5, "depth": -25.0})
    assert delta_m(RESULTS, BASELINES, HIGHER) == pytest.approx(-8.75)


def test_tasks_count_alike_whatever_their_number_of_metrics():
    many = {f"m{i}": 1.0 for i in range(9)}
    baselines = {"a": many, "b": {"m": 1.0}}
    results = {"a": many, "b": {"m": 0.0}}
    assert delta_m(results, baselines) == pytest.approx(50.0)


def test_equal_results_change_nothing():
    assert delta_m(BASELINES, BASELINES, HIGHER) == 0.0


def test_lower_is_better_by_default():
    assert delta_m({"a": {"m": 3.0}}, {"a": {"m": 2.0}}) == -50.0


def test_direction_of_a_task_wins_over_that_of_a_metric():
    baselines = {"a": {"m": 1.0}, "b": {"m": 1.0}}
    results = {"a": {"m": 2.0}, "b": {"m": 2.0}}
    changes = task_changes(results, baselines, {"m": True, "b": {"m": False}})
    assert changes == {"a": 100.0, "b": -100.0}


def test_direction_by_task_when_task_and_metric_share_a_name():
    baselines = {"m": {"m": 1.0, "n": 1.0}}
    results = {"m": {"m": 2.0, "n": 2.0}}
    assert delta_m(results, baselines, {"m": {"m": True}}) == 0.0


def test_baseline_below_zero_keeps_the_sign():
    higher = {"log_likelihood": True}
    better = {"a": {"log_likelihood": -1.0}}
    assert delta_m(better, {"a": {"log_likelihood": -2.0}}, higher) == 50.0


def test_nan_result_gives_nan():
    results = {**RESULTS, "depth": {"error": math.nan}}
    assert math.isnan(delta_m(results, BASELINES, HIGHER))


def test_order_of_tasks_is_that_of_the_baselines():
    backwards = dict(reversed(RESULTS.items()))
    assert list(task_changes(backwards, BASELINES)) == ["seg", "depth"]


def test_missing_task():
    with pytest.raises(ValueError, match=r"missing: \['depth'\]"):
        delta_m({"seg": RESULTS["seg"]}, BASELINES)


def test_unknown_task():
    results = {**RESULTS, "normal": {"angle": 1.0}}
    with pytest.raises(ValueError, match=r"unknown: \['normal'\]"):
        delta_m(results, BASELINES)


def test_no_task():
    with pytest.raises(ValueError, match="at least one task"):
        delta_m({}, {})


@pytest.mark.parametrize(
    "metrics", [{}, {"miou": 0.5}, {"miou": 0.5, "accuracy": 1, "other": 2}]
)
def test_metrics_that_differ(metrics):
    with pytest.raises(
        ValueError, match=r"same metrics.*task 'seg'.*\['accuracy', 'miou'\]"
    ):
        delta_m({**RESULTS, "seg": metrics}, BASELINES)


def test_task_without_metrics():
    with pytest.raises(ValueError, match="at least one, for task 'a'"):
        delta_m({"a": {}}, {"a": {}})


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_unusable_baseline(value):
    baselines = {**BASELINES, "depth": {"error": value}}
    with pytest.raises(
        ValueError, match="'error' of task 'depth' must be finite and not zero"
    ):
        delta_m(RESULTS, baselines)


@pytest.mark.parametrize(
    "directions",
    [{"miuo": True}, {"normal": {"miou": True}}, {"seg": {"error": True}}],
)
def test_unknown_direction(directions):
    with pytest.raises(ValueError, match="names a task or metric without"):
        delta_m(RESULTS, BASELINES, directions)


def test_directions_may_be_of_numpy():
    scores, ones = {"a": {"iou": 2.0}}, {"a": {"iou": 1.0}}
    for direction in (np.True_, True):
        for given in ({"iou": direction}, {"a": {"iou": direction}}):
            assert delta_m(scores, ones, given) == 100.0
    assert delta_m(scores, ones, {"iou": np.False_}) == -100.0
