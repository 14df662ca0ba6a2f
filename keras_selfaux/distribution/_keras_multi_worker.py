"""Keras's `fit` on several workers, where the installed Keras fails at it.

Keras 3 fails under `MultiWorkerMirroredStrategy` in two places (Keras issue
20585): it takes the mean of a whole structure of replicas' values to learn
the shapes of a batch, and it reduces scalar logs along an axis that they do
not have. What is here steps in where the installed Keras does fail, found
out by trying, and is not called any more when Keras works.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import trainer as keras_trainer

from keras_selfaux.distribution._lost_worker import is_multi_worker

Step = Callable[[Any], Any]


def adapted_step(step: Step, strategy: tf.distribute.Strategy) -> Step:
    """Returns a step whose logs Keras can reduce over workers.

    Args:
        step: Maps a replica's batch to logs.
        strategy: The model's strategy.
    """
    if not is_multi_worker(strategy) or reduces_scalars(strategy):
        return step

    def step_with_axis(data: Any) -> Any:
        # Keras takes the mean along the first axis, over all replicas.
        return tf.nest.map_structure(
            lambda value: tf.convert_to_tensor(value)[None], step(data)
        )

    return step_with_axis


def local_batch(iterator: Any, strategy: tf.distribute.Strategy) -> Any | None:
    """Returns a batch of this process's first replica, for its shapes.

    Args:
        iterator: Keras's epoch iterator: triples that end in an iterator.
        strategy: The model's strategy.

    Returns:
        The batch; `None` where Keras finds the shapes itself.
    """
    if not is_multi_worker(strategy) or builds_from_batches(strategy):
        return None
    _, _, batches = next(iter(iterator))
    return tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[0],
        next(batches),
    )


def reduces_scalars(strategy: tf.distribute.Strategy) -> bool:
    """Says whether Keras can reduce a scalar of every replica."""

    @tf.function(autograph=False)
    def reduced() -> Any:
        values = strategy.run(lambda: tf.constant(2.0))
        return keras_trainer.reduce_per_replica(values, strategy, "auto")

    return _works(strategy, "reduces_scalars", lambda: reduced().shape == ())


def builds_from_batches(strategy: tf.distribute.Strategy) -> bool:
    """Says whether Keras can build a model from a distributed batch."""

    def builds() -> bool:
        with strategy.scope():
            model = keras.Sequential([keras.layers.Dense(1)])
            model.compile("sgd", "mse")
        # As many samples as replicas, so that each has one.
        ones = tf.ones((strategy.num_replicas_in_sync, 1))
        batches = tf.data.Dataset.from_tensors((ones, ones))
        distributed = strategy.experimental_distribute_dataset(batches)
        model._maybe_symbolic_build(iterator=[(0, 0, iter(distributed))])
        return bool(model.built)

    return _works(strategy, "builds_from_batches", builds)


def _works(
    strategy: tf.distribute.Strategy, name: str, attempt: Callable[[], bool]
) -> bool:
    """Tries something once per strategy, at the same time on all workers."""
    found = vars(strategy).setdefault("_keras_selfaux_probes", {})
    if name not in found:
        try:
            found[name] = attempt()
        # Keras may fail in any way; a lost worker is not Keras's doing.
        except (ValueError, TypeError, AttributeError, IndexError):
            found[name] = False
    return bool(found[name])
