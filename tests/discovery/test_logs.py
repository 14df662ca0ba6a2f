import numpy as np

from keras_selfaux.discovery._logs import BestEpochs, Watched, scores_by_name


def test_validation_logs_are_sorted_by_the_longest_name():
    logs = {
        "loss": 9.0,
        "a_loss": 9.0,
        "val_loss": 3.0,
        "val_a_loss": 1.0,
        "val_a_b_loss": 2.0,
        "val_a_b_mean_error": np.float32(0.5),
    }
    assert scores_by_name(logs, ["a", "a_b"]) == {
        "a": {"loss": 1.0},
        "a_b": {"loss": 2.0, "mean_error": 0.5},
    }


def test_a_single_output_has_no_prefix():
    logs = {"val_loss": 3.0, "val_mae": 2.0}
    assert scores_by_name(logs, ["a"]) == {"a": {"loss": 3.0, "mae": 2.0}}
    # But where it has one, that is the task's own loss.
    for logs in (
        {"val_loss": 3.0, "val_a_loss": 1.0},
        {"val_a_loss": 1.0, "val_loss": 3.0},
    ):
        assert scores_by_name(logs, ["a"]) == {"a": {"loss": 1.0}}


def test_a_metric_may_begin_with_the_name_of_the_only_task():
    logs = {"val_loss": 3.0, "val_mean_absolute_error": 2.0}
    found = scores_by_name(logs, ["mean"])
    assert found == {"mean": {"loss": 3.0, "mean_absolute_error": 2.0}}


def epochs(best, *losses):
    for epoch, (first, second) in enumerate(losses):
        logs = {"val_0.a_loss": first, "val_0.b_loss": second}
        logs |= {"val_1.a_loss": second, "val_1.a_mae": 10 * epoch}
        best.on_epoch_end(epoch, logs)


def two_networks(check=lambda scores: None):
    return BestEpochs(
        [
            Watched({"a": "0.a", "b": "0.b"}, {"a": 1.0, "b": 10.0}),
            Watched({"a": "1.a"}, {"a": 1.0}),
        ],
        check,
    )


def test_each_network_has_its_own_best_epoch():
    best = two_networks()
    epochs(best, (1.0, 2.0), (5.0, 1.0), (9.0, 0.9), (0.0, 1.0))
    first, second = best.best
    # 21, 15, 18 and 10; and 2, 1, 0.9 and 1.
    assert (first.loss, first.epoch) == (10.0, 4)
    assert first.scores == {"a": {"loss": 0.0}, "b": {"loss": 1.0}}
    assert (second.loss, second.epoch) == (0.9, 3)
    assert second.scores == {"a": {"loss": 0.9, "mae": 20.0}}


def test_a_loss_that_is_no_number_is_never_best():
    best = two_networks()
    epochs(best, (np.nan, 1.0), (np.inf, np.nan))
    assert best.best[0] == (np.inf, 0, {})
    assert best.best[1].epoch == 1


def test_the_first_epoch_is_checked():
    seen = []
    epochs(two_networks(seen.append), (1.0, 2.0), (1.0, 2.0))
    assert seen == [
        {"a": {"loss": 1.0}, "b": {"loss": 2.0}},
        {"a": {"loss": 2.0, "mae": 0.0}},
    ]
