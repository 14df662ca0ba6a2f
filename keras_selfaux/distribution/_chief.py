"""Which process writes files."""

from typing import Any

import tensorflow as tf

# What `make_strategy` joined; a process can join a cluster only once.
_joined: list[Any] = []


def remember_cluster(resolver: Any) -> None:
    """Keeps what this process's cluster is known by, for `is_chief`."""
    _joined[:] = [resolver]


def is_chief(strategy: tf.distribute.Strategy | None = None) -> bool:
    """Says whether this process is the chief of a strategy.

    On one device and under a `MirroredStrategy` there is one process, and
    that is the chief. Of several workers it is the one that the cluster
    calls `chief` or, if there is none, worker 0.

    Args:
        strategy: The strategy, such as `model.distribute_strategy`. Defaults
            to the one whose scope was entered; outside of any, to what
            `make_strategy` joined and, before that, to TF_CONFIG.
    """
    if strategy is None and tf.distribute.has_strategy():
        strategy = tf.distribute.get_strategy()
    if strategy is not None:
        resolver = strategy.cluster_resolver
    else:
        named = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        (resolver,) = _joined or [named]
    if resolver is None:
        return True
    jobs = resolver.cluster_spec().jobs
    if not jobs:
        return True
    if "chief" in jobs:
        return bool(resolver.task_type == "chief")
    return resolver.task_type == "worker" and int(resolver.task_id) == 0
