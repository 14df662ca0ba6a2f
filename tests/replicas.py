"""Two replicas on the CPU, for tests of `tf.distribute`."""

import functools

import tensorflow as tf


@functools.cache
def two_replicas() -> tf.distribute.MirroredStrategy:
    """Returns a strategy of two logical CPUs, the same one for all tests.

    TensorFlow numbers what replicas exchange by strategy, but keeps the
    numbers by process: a second strategy would take the first one's.
    """
    devices = tf.config.list_logical_devices("CPU")[:2]
    return tf.distribute.MirroredStrategy([device.name for device in devices])
