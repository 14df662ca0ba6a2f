import numpy as np
import pytest

from keras_selfaux.discovery import Run
from keras_selfaux.discovery._scores import Judge

TASKS = ["a", "b"]


def run(metrics, seed=0, epoch=1):
    name = "/".join(metrics)
    return Run(f"{name}/{seed}", tuple(metrics), seed, epoch, metrics)


def three_runs(seed=0, **pair):
    alone = {"loss": 2.0, "accuracy": 0.5}
    return [
        run({"a": alone}, seed),
        run({"b": alone}, seed),
        run(
            {"a": {**alone, **pair}, "b": {"loss": 4.0, "accuracy": 0.4}}, seed
        ),
    ]


def test_gain_is_the_relative_change_for_the_better():
    gains = Judge(TASKS, None, None).gains(three_runs(loss=1.5))
    # Rows are targets: a gained 25 % from b, and b lost 100 % to a.
    np.testing.assert_allclose(gains.mean, [[0, 25], [-100, 0]])
    assert len(gains.runs) == 3


def test_gains_are_sorted_by_seed():
    judge = Judge(TASKS, "loss", None)
    runs = [*three_runs(5, loss=1.5), *three_runs(3, loss=1.0)]
    gains = judge.gains(runs)
    np.testing.assert_allclose(gains.by_seed[:, 0, 1], [25, 50])


def test_direction_and_mean_over_metrics():
    judge = Judge(TASKS, ["loss", "accuracy"], {"accuracy": True})
    gains = judge.gains(three_runs(loss=1.5, accuracy=0.75))
    np.testing.assert_allclose(gains.mean, [[0, 37.5], [-60, 0]])
    judge = Judge(
        TASKS,
        {"a": "accuracy", "b": "loss"},
        {"a": {"accuracy": False}, "loss": True},
    )
    gains = judge.gains(three_runs(loss=1.5, accuracy=0.75))
    np.testing.assert_allclose(gains.mean, [[0, -50], [100, 0]])


@pytest.mark.parametrize(
    "single", [{"loss": 0.0}, {"loss": np.nan}, {}], ids=str
)
def test_what_cannot_be_compared_is_unknown(single):
    runs = three_runs(loss=1.5)
    runs[0] = run({"a": single})
    gains = Judge(TASKS, None, None).gains(runs)
    np.testing.assert_array_equal(gains.mean, [[0, np.nan], [-100, 0]])


def test_a_network_that_diverged_is_unknown():
    runs = three_runs(loss=1.5)
    runs[2] = runs[2]._replace(best_epoch=0, metrics={})
    gains = Judge(TASKS, None, None).gains(runs)
    np.testing.assert_array_equal(gains.mean, [[0, np.nan], [np.nan, 0]])


def test_a_metric_that_is_not_measured():
    judge = Judge(TASKS, "mae", {"mae": False})
    judge.check({"a": {"mae": 1.0}})
    with pytest.raises(
        ValueError, match=r"what task 'b' is not measured by.*measured: \['loss"
    ):
        judge.check({"b": {"loss": 1.0}})


@pytest.mark.parametrize(
    ("metrics", "directions", "message"),
    [
        ("accuracy", None, "does not say in which direction metric 'accuracy'"),
        ("accuracy", {"accuray": True}, "`higher_is_better` names a task or"),
        ({"a": "loss"}, None, r"`metrics` must have one entry per task"),
        ([], None, "`metrics` must name at least one metric for task 'a'"),
        ([1], None, "`metrics` must name at least one metric for task 'a'"),
    ],
)
def test_refuses(metrics, directions, message):
    with pytest.raises(ValueError, match=message):
        Judge(TASKS, metrics, directions)
