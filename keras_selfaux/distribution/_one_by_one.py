"""Many steps per execution where replicas exchange something.

Keras loops over the steps of an execution inside of TensorFlow, and calls a
compiled step in the loop. What replicas exchange is numbered when that step
is called, which TensorFlow cannot do there: "You must feed a value for
placeholder tensor". Here Python loops, and callbacks see no difference.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from keras_selfaux.distribution._lost_worker import is_multi_worker

_ITERATORS = (tf.data.Iterator, tf.distribute.DistributedIterator)
Function = Callable[[Any], Any]


def one_by_one(model: Any, function: Function) -> Function:
    """Returns a function that takes a model's steps one after the other.

    Args:
        model: A Keras model.
        function: What Keras made of the model's step: it takes
            `steps_per_execution` steps on the batches of an iterator.

    Returns:
        The same, or `function` itself where there is one replica.
    """
    strategy = model.distribute_strategy
    exchanges = strategy.num_replicas_in_sync > 1 or is_multi_worker(strategy)
    if model.run_eagerly or not exchanges:
        return function

    def execute(iterator: Any) -> Any:
        count = model.steps_per_execution
        if not isinstance(iterator, _ITERATORS):  # that of `train_on_batch`
            return function(iterator)
        with _one_step_per_execution(model):
            logs = function(iterator)
            for _ in range(1, count):
                try:
                    logs = function(iterator)
                except (StopIteration, tf.errors.OutOfRangeError):
                    break
        return logs

    return execute


@contextmanager
def _one_step_per_execution(model: Any) -> Iterator[None]:
    before = model.steps_per_execution
    model.steps_per_execution = 1
    try:
        yield
    finally:
        model.steps_per_execution = before
