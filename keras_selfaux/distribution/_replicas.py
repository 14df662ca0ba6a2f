"""What the package needs of `tf.distribute`, inside a step and around it."""

from collections.abc import Sequence

import tensorflow as tf
from keras import ops
from keras.backend import is_float_dtype

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor


def num_replicas() -> int:
    """Returns the number of replicas in sync under the current strategy."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def check_outside_of_scope() -> None:
    """Raises where an export would not run: within `strategy.scope()`.

    TensorFlow would trace calls there for a strategy to distribute, and who
    loads the result has none.

    Raises:
        ValueError: If called in the scope of a strategy.
    """
    if tf.distribute.has_strategy():
        strategy = type(tf.distribute.get_strategy()).__name__
        raise error(
            "Models are exported outside of `strategy.scope()`.",
            received=f"a call within the scope of a {strategy}",
            remedy="Indent the call less; the model may have been made and "
            "trained under a strategy.",
        )


def check_compilation(
    jit_compile: bool, strategy: tf.distribute.Strategy
) -> None:
    """Raises where XLA cannot compile what replicas exchange.

    Raises:
        ValueError: If several replicas, CPUs among them, are to be compiled.
    """
    if not jit_compile or strategy.num_replicas_in_sync == 1:
        return
    devices = strategy.extended.worker_devices
    if any("CPU" in device.upper() for device in devices):
        raise error(
            "XLA cannot compile what replicas on CPUs exchange.",
            received=f"jit_compile=True with "
            f"{strategy.num_replicas_in_sync} replicas",
            remedy="Compile the model with jit_compile=False.",
        )


def replica_sum(values: Tensor) -> Tensor:
    """Sums each tensor of a structure over the replicas.

    On a single device the values come back as they are.

    Args:
        values: A tensor or a nested structure of tensors, computed inside
            a replica. `None` entries stay `None`.

    Returns:
        The same structure; every replica gets the same sums.
    """
    if num_replicas() == 1:
        return values
    context = tf.distribute.get_replica_context()
    flat = tf.nest.flatten(values)
    present = [value for value in flat if value is not None]
    if not present:  # which TensorFlow cannot reduce
        return values
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return tf.nest.pack_sequence_as(
        values, [None if v is None else next(sums) for v in flat]
    )


def replica_mean(values: Sequence[Tensor], size: Tensor) -> list[Tensor]:
    """Takes means over the replicas, weighted by their numbers of samples.

    On a single device the values come back as they are.

    Args:
        values: Tensors, computed inside a replica. Only floating ones are
            averaged; all others must be equal on all replicas.
        size: How many samples this replica has. One without any does not
            count, whatever its values are.

    Returns:
        As many tensors; every replica gets the same ones.
    """
    if num_replicas() == 1:
        return list(values)
    count = ops.cast(size, "float32")
    share = count / replica_sum(count)
    averaged = [i for i, v in enumerate(values) if is_float_dtype(v.dtype)]
    found = list(values)
    local = [ops.cast(found[i], "float32") * share for i in averaged]
    local = [ops.where(count > 0, v, ops.zeros_like(v)) for v in local]
    for i, mean in zip(averaged, replica_sum(local), strict=True):
        found[i] = ops.cast(mean, found[i].dtype)
    return found
