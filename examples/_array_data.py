"""Data that fit into memory as arrays."""

import math

import numpy as np
import tensorflow as tf

Split = tuple[np.ndarray, dict[str, np.ndarray]]


class ArrayData:
    """Training, validation and test data as arrays.

    Args:
        splits: `(x, y)` of `train`, `validation` and `test`.
        batch_size: Samples per step of training.
    """

    def __init__(self, splits: dict[str, Split], batch_size: int) -> None:
        self.splits = splits
        self.batch_size = batch_size
        self.steps_per_epoch = math.ceil(len(splits["train"][0]) / batch_size)

    def endless(self, split: str) -> tf.data.Dataset:
        """Returns endless batches of one size, in random order.

        Arrays given to `fit` would do as well, but an epoch is so short here
        that making iterators for each would take most of the time; and a
        last, smaller batch would have XLA compile the step once more.
        """
        num_samples = len(self.splits[split][0])
        samples = tf.data.Dataset.from_tensor_slices(self.splits[split])
        samples = samples.shuffle(num_samples).repeat()
        batches = samples.batch(min(self.batch_size, num_samples)).prefetch(16)
        options = tf.data.Options()
        # There is nothing to tune, and to stop tuning takes seconds.
        options.autotune.enabled = False
        return batches.with_options(options)

    def held_out(self, split: str) -> tf.data.Dataset:
        """Returns all samples as one batch."""
        samples = tf.data.Dataset.from_tensor_slices(self.splits[split])
        return samples.batch(len(self.splits[split][0])).cache()
