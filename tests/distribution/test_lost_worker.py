import pathlib
from typing import Any

import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.distribution import (
    LostWorkerError,
    _saved_by_chief,
    make_strategy,
    naming_lost_workers,
)
from tests.integration.models import make_model

ABORTED = (
    "Collective ops is aborted by: Error reported from /job:worker/task:1:\n"
    "The following tasks are unhealthy (stopped sending heartbeats)"
)


class Workers(tf.distribute.MultiWorkerMirroredStrategy):
    """Looks like a strategy of two workers, and joins nobody."""

    def __init__(self) -> None:
        pass

    @property
    def cluster_resolver(self) -> Any:
        return tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": ["host1:1", "host2:1"]})
        )


def fail(problem: Exception, strategy: Any) -> None:
    with naming_lost_workers(strategy):
        raise problem


@pytest.mark.parametrize(
    "problem",
    [
        tf.errors.UnavailableError(None, None, ABORTED),
        tf.errors.AbortedError(None, None, "Connection reset"),
        tf.errors.DeadlineExceededError(None, None, "Collective timed out"),
        tf.errors.InternalError(None, None, ABORTED),
        tf.errors.CancelledError(None, None, "RPC: GRPC call was cancelled"),
    ],
)
def test_a_lost_worker_is_named(problem: Exception) -> None:
    with pytest.raises(
        LostWorkerError,
        match="A worker was lost: it was stopped, .* Received: "
        f"{type(problem).__name__}: .* Restart all workers with the command "
        "they were started by; training goes on from the last checkpoint.",
    ):
        fail(problem, Workers())


@pytest.mark.parametrize(
    "problem",
    [
        tf.errors.InternalError(None, None, "A kernel failed"),
        tf.errors.InvalidArgumentError(None, None, ABORTED),
        ValueError("anything"),
    ],
)
def test_other_errors_stay_as_they_are(problem: Exception) -> None:
    with pytest.raises(type(problem)) as caught:
        fail(problem, Workers())
    assert caught.value is problem


def test_a_single_process_loses_nobody() -> None:
    with pytest.raises(tf.errors.UnavailableError):
        fail(tf.errors.UnavailableError(None, None, ""), make_strategy())


def test_long_messages_are_cut() -> None:
    problem = tf.errors.UnavailableError(None, None, "word " * 1000)
    with pytest.raises(LostWorkerError) as caught:
        fail(problem, Workers())
    assert len(str(caught.value)) < 700


def test_the_chief_alone_writes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    for module in (_saved_by_chief, keras_selfaux.model):
        monkeypatch.setattr(module, "is_chief", lambda strategy: False)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    model.export(tmp_path / "export")
    assert not list(tmp_path.iterdir())
