"""`make_strategy`: where training runs, by name."""

import functools
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import check_choice, error
from keras_selfaux.distribution._chief import remember_cluster
from keras_selfaux.distribution._cluster import resolve_cluster
from keras_selfaux.distribution._devices import names_of_devices

_NAMES = ("none", "mirrored", "multiworker")
_SECONDS_BETWEEN_NOTES = 30.0


def make_strategy(
    name: str = "none",
    devices: int | str | Sequence[str] | None = None,
    *,
    cluster_resolver: Any = None,
) -> tf.distribute.Strategy:
    """Returns a strategy; make and compile the model in its `scope()`.

    Args:
        name: `"none"`: one device. `"mirrored"`: several devices of this
            machine. `"multiworker"`: several processes, on one machine or
            more, each of which runs this program; the call returns when all
            have started. Make this strategy first of all in a program.
            Defaults to `"none"`.
        devices: How many devices, or which: `2`, `"GPU:0"`, `"CPU:0,CPU:1"`
            or `["GPU:0", "GPU:1"]`. A number of CPU devices above 1 divides
            the CPU, for trying things out. Defaults to all GPUs or, where
            there are none, the CPU; with `"none"`, to TensorFlow's choice.
            Workers take all GPUs that they can see.
        cluster_resolver: A `tf.distribute.cluster_resolver.ClusterResolver`
            for `"multiworker"`. Defaults to what TF_CONFIG says or, without
            it, the Slurm job step.

    Raises:
        ValueError: If the devices are not there, or it is unclear who the
            workers are.
    """
    check_choice("name", name, _NAMES)
    if cluster_resolver is not None and name != "multiworker":
        raise error(
            f"Strategy {name!r} has no workers.",
            received=f"cluster_resolver={cluster_resolver!r}",
            remedy='Use name="multiworker".',
        )
    if name == "multiworker":
        if devices is not None:
            raise error(
                "Workers take all GPUs that they can see.",
                received=f"devices={devices!r}",
                remedy="Leave `devices` out; CUDA_VISIBLE_DEVICES says which "
                "GPUs a worker can see.",
            )
        return _of_workers(cluster_resolver or resolve_cluster())
    if name == "mirrored":
        return _mirrored(tuple(names_of_devices(devices)))
    return _of_one_device(devices)


def _of_one_device(
    devices: int | str | Sequence[str] | None,
) -> tf.distribute.Strategy:
    if devices is None:
        return tf.distribute.get_strategy()
    names = names_of_devices(devices)
    if len(names) > 1:
        raise error(
            'Strategy "none" runs on one device.',
            received=f"devices={devices!r}",
            remedy='Use name="mirrored" for several devices.',
        )
    return tf.distribute.OneDeviceStrategy(f"/{names[0]}")


# TensorFlow numbers what replicas exchange by strategy, but keeps the
# numbers by process: a second strategy would take the first one's.
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy([f"/{name}" for name in devices])


class _Workers(tf.distribute.MultiWorkerMirroredStrategy):
    """Gives all workers the global batches that one process would take.

    TensorFlow shards by files where there are enough of them, and batches
    are then made of other samples. A data set with a policy of its own
    keeps it.
    """

    def experimental_distribute_dataset(
        self, dataset: Any, options: Any = None
    ) -> Any:
        policies = tf.data.experimental.AutoShardPolicy
        chosen = dataset.options().experimental_distribute.auto_shard_policy
        if chosen == policies.AUTO:
            by_data = tf.data.Options()
            by_data.experimental_distribute.auto_shard_policy = policies.DATA
            dataset = dataset.with_options(by_data)
        return super().experimental_distribute_dataset(dataset, options)


def _of_workers(resolver: Any) -> tf.distribute.Strategy:
    count = sum(map(len, resolver.cluster_spec().as_dict().values()))
    with _noting_that_it_waits(count):
        try:
            strategy = _Workers(cluster_resolver=resolver)
        except RuntimeError as problem:
            raise error(
                "Workers must be joined before TensorFlow starts.",
                received=f"{type(problem).__name__}: {problem}",
                remedy='Call `make_strategy("multiworker")` first of all in '
                "the program.",
            ) from problem
    remember_cluster(resolver)
    return strategy


@contextmanager
def _noting_that_it_waits(count: int) -> Iterator[None]:
    """Logs now and then that workers are waited for, while this lasts."""
    joined = threading.Event()

    def note() -> None:
        while not joined.wait(_SECONDS_BETWEEN_NOTES):
            logging.getLogger(__name__).warning(
                "Waiting until all %d workers of the cluster have started.",
                count,
            )

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    try:
        yield
    finally:
        joined.set()
        thread.join()
