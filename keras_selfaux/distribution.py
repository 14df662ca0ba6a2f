"""What the package needs of `tf.distribute`, in one place."""

import tensorflow as tf

from keras_selfaux._types import Tensor


def num_replicas() -> int:
    """Returns the number of replicas in sync under the current strategy."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


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
