"""What workers have to agree on."""

import tensorflow as tf

from keras_selfaux.distribution._lost_worker import is_multi_worker


def mean_over_workers(value: float, strategy: tf.distribute.Strategy) -> float:
    """Returns the mean of a number over all workers, who wait for each other.

    Args:
        value: This worker's number.
        strategy: The model's strategy; without several workers the number
            comes back as it is.
    """
    if not is_multi_worker(strategy):
        return value

    @tf.function(autograph=False)
    def mean() -> tf.Tensor:
        values = strategy.run(lambda: tf.constant(value, "float64"))
        return strategy.reduce("MEAN", values, axis=None)

    return float(mean())
