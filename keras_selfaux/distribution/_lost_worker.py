"""What it looks like when a worker is gone, in words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

# What workers see of each other's end, whatever they were just doing.
_ALWAYS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
)
_SOMETIMES = (
    tf.errors.InternalError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnknownError,
)
_SIGNS = re.compile(
    r"collective ops is aborted|heartbeat|coordination ?service|grpc|"
    r"connection (reset|refused)|socket closed|rendezvous|unhealthy",
    re.IGNORECASE,
)


class LostWorkerError(RuntimeError):
    """Another worker ended, or cannot be reached any more."""


@contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turns TensorFlow's error about a lost worker into one that says so.

    Args:
        strategy: What the workers train under. Under any other strategy
            than one of several workers, errors stay as they are.

    Raises:
        LostWorkerError: If the body raised such an error.
    """
    try:
        yield
    except tf.errors.OpError as problem:
        if not is_multi_worker(strategy) or not _tells_of_a_loss(problem):
            raise
        raise LostWorkerError(
            "A worker was lost: it was stopped, ended with an error of its "
            "own (see its output), or cannot be reached. Received: "
            f"{type(problem).__name__}: {_short(problem.message)}. Restart "
            "all workers with the command they were started by; training "
            "goes on from the last checkpoint."
        ) from problem


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Says whether replicas are spread over processes of a cluster."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    return bool(strategy.cluster_resolver.cluster_spec().jobs)


def _tells_of_a_loss(problem: tf.errors.OpError) -> bool:
    if isinstance(problem, _ALWAYS):
        return True
    found = _SIGNS.search(problem.message or "")
    return isinstance(problem, _SOMETIMES) and found is not None


def _short(message: str) -> str:
    """Returns a message's lines that tell something, as one line."""
    _, found, reason = message.partition("Collective ops is aborted by: ")
    text = " ".join((reason if found else message).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
