"""What the package needs of `tf.distribute`, inside a step and around it."""

import tensorflow as tf

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
    devices = strategy.extended.worker_devices
    cpus = [device for device in devices if "CPU" in device.upper()]
    if jit_compile and cpus and strategy.num_replicas_in_sync > 1:
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
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return tf.nest.pack_sequence_as(
        values, [None if v is None else next(sums) for v in flat]
    )
