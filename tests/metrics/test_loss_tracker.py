import keras
import numpy as np
import pytest

from keras_selfaux.losses import masked_loss
from keras_selfaux.metrics import LossTracker

TASKS = ["seg", "depth"]


def result(tracker: LossTracker) -> dict[str, float]:
    return {name: float(value) for name, value in tracker.result().items()}


def test_nothing_yet() -> None:
    assert result(LossTracker(TASKS)) == {
        "loss": 0.0,
        "seg_loss": 0.0,
        "depth_loss": 0.0,
    }


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_losses_do_not_depend_on_how_samples_fall_into_batches(
    size: int,
) -> None:
    rng = np.random.default_rng(0)
    y_true = rng.normal(size=(2, 20, 3)).astype("float32")
    y_pred = rng.normal(size=(2, 20, 3)).astype("float32")
    # Uneven: batches without any label of a task are among them.
    y_true[0, 4:16] = np.nan
    y_true[1, ::3] = np.nan
    weights = rng.integers(0, 3, (2, 20)).astype("float32")
    tracker = LossTracker(TASKS, [1.0, 0.5])
    for start in range(0, 20, size):
        part = slice(start, start + size)
        batch = masked_loss(
            keras.losses.MeanSquaredError(),
            y_true[:, part],
            y_pred[:, part],
            weights[:, part],
        )
        tracker.update_state(
            batch.numerator, batch.denominator, y_true[:, part].shape[1]
        )
    errors = np.mean((y_true - y_pred) ** 2, axis=-1)
    wanted = []
    for i in range(2):
        has = ~np.isnan(errors[i]) & (weights[i] > 0)
        wanted.append(np.mean((errors[i] * weights[i])[has]))
    assert result(tracker) == pytest.approx(
        {
            "seg_loss": wanted[0],
            "depth_loss": wanted[1],
            "loss": wanted[0] + 0.5 * wanted[1],
        },
        rel=1e-5,
    )


def test_a_task_without_labels_has_no_loss() -> None:
    tracker = LossTracker(TASKS)
    tracker.update_state(np.array([3.0, 0.0]), np.array([2.0, 0.0]), 2)
    assert result(tracker) == {"loss": 1.5, "seg_loss": 1.5, "depth_loss": 0.0}


def test_loss_in_evaluation_is_weighted_and_regularised() -> None:
    tracker = LossTracker(TASKS, [2.0, 0.0])
    tracker.update_state(np.array([4.0, 8.0]), np.array([2.0, 2.0]), 2, 0.5)
    tracker.update_state(np.array([2.0, 0.0]), np.array([1.0, 1.0]), 1, 0.5)
    assert result(tracker) == pytest.approx(
        {"loss": 2 * 2.0 + 0.5, "seg_loss": 2.0, "depth_loss": 8 / 3}
    )


def test_regularisation_is_a_mean_over_samples() -> None:
    tracker = LossTracker(["seg"])
    tracker.update_state(np.zeros(1), np.ones(1), 3, additional=1.0)
    tracker.update_state(np.zeros(1), np.ones(1), 1, additional=5.0)
    assert result(tracker)["loss"] == pytest.approx((3 * 1.0 + 5.0) / 4)


def test_loss_in_training_is_what_was_minimised() -> None:
    tracker = LossTracker(TASKS, [2.0, 2.0])
    tracker.update_state(
        np.array([4.0, 8.0]), np.array([2.0, 2.0]), 3, objective=7.0
    )
    tracker.update_state(
        np.array([0.0, 0.0]), np.array([2.0, 2.0]), 1, objective=3.0
    )
    # A mean over samples: batches of 3 and of 1.
    assert result(tracker) == pytest.approx(
        {"loss": (3 * 7.0 + 3.0) / 4, "seg_loss": 1.0, "depth_loss": 2.0}
    )


def test_an_objective_of_zero_is_a_loss() -> None:
    tracker = LossTracker(["seg"])
    tracker.update_state(np.ones(1), np.ones(1), 1, objective=0.0)
    assert result(tracker)["loss"] == 0.0


def test_reset_forgets_everything() -> None:
    tracker = LossTracker(TASKS)
    tracker.update_state(np.ones(2), np.ones(2), 1, objective=9.0)
    tracker.reset_state()
    # Evaluation after training: `loss` must not be the training's.
    tracker.update_state(np.array([1.0, 2.0]), np.ones(2), 1)
    assert result(tracker) == {"loss": 3.0, "seg_loss": 1.0, "depth_loss": 2.0}


def test_mixed_precision_does_not_reach_the_sums() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    tracker = LossTracker(["seg"])
    for _ in range(2):
        tracker.update_state(np.array([6e4]), np.array([1.0]), 1)
    assert result(tracker)["seg_loss"] == pytest.approx(6e4)


def test_evaluation_records_which_losses_are_not_finite() -> None:
    edges = [("seg", "seg"), ("depth", "depth"), ("seg", "depth")]
    tracker = LossTracker(TASKS, edges=edges)
    ones, nothing = np.ones(2), np.zeros(2)
    for numerators, denominators, added in (
        (nothing, nothing, 0.0),  # no labels at all are no reason to worry
        (np.array([1.0, np.nan]), ones, 0.0),
        (ones, np.array([np.inf, 1.0]), np.inf),
    ):
        tracker.update_state(numerators, denominators, 1, added)
    record = tracker.evaluation_steps()
    assert record == (
        *(3, 2, 0, 2, 2),
        {edges[1]: 1, edges[0]: 2, "regularization losses": 2},
    )
    assert tracker.training_steps().steps == 0
    tracker.reset_state()
    assert tracker.evaluation_steps().steps == 0


def test_task_weights_are_means_over_steps_with_labels() -> None:
    tracker = LossTracker(TASKS, keeps_weights=True)
    assert tracker.mean_weights() == {}
    tracker.add_weights(np.float32([2.0, 9.0]), np.array([True, False]))
    assert tracker.mean_weights() == {("seg", "seg"): 2.0}
    tracker.add_weights(np.float32([4.0, 0.5]), np.array([True, True]))
    tracker.add_weights(np.float32([0.0, np.nan]), np.array([True, False]))
    assert tracker.mean_weights() == {
        ("seg", "seg"): 2.0,
        ("depth", "depth"): 0.5,
    }
    plain = LossTracker(TASKS)
    plain.add_weights(np.ones(2), np.ones(2, bool))
    assert plain.mean_weights() == {}


def test_a_reset_in_between_does_not_end_the_record_of_training() -> None:
    tracker = LossTracker(["seg"])
    finite = np.ones(7, bool)
    bad = np.array([False, *finite[1:]])
    for each in (finite, bad):
        tracker.record_step(each)
    tracker.reset_state()
    assert tracker.training_steps().firsts == {("seg", "seg"): 1}
    tracker.record_step(bad)
    assert tracker.training_steps() == (3, 2, 0, 2, 2, {("seg", "seg"): 1})
    tracker.reset_state()
    tracker.forget_training_steps()
    tracker.record_step(finite)
    assert tracker.training_steps() == (1, 0, 0, 0, 0, {})


def test_losses_of_skipped_steps_alone_are_unknown() -> None:
    tracker = LossTracker(TASKS, [1.0, 0.0])
    bad = np.array([False, *[True] * 7])
    tracker.record_step(bad)
    assert np.isnan(list(result(tracker).values())).all()
    tracker.record_step(~bad | bad)  # of samples without labels
    assert set(result(tracker).values()) == {0.0}
    tracker.reset_state()
    assert set(result(tracker).values()) == {0.0}
