"""Two replicas on the CPU, for tests of `tf.distribute`."""

import tensorflow as tf

from keras_selfaux.distribution import make_strategy


def two_replicas() -> tf.distribute.MirroredStrategy:
    """Returns a strategy of two logical CPUs, the same one for all tests."""
    return make_strategy("mirrored", 2)
