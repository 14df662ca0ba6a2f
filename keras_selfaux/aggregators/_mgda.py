"""MGDA: the shortest convex combination of the rows."""

from typing import Any

from keras_selfaux._linalg import min_norm_weights
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import (
    Coefficients,
    GramianAggregator,
    count,
)


@register
class MGDA(GramianAggregator):
    """Follows the shortest vector in the convex hull of the rows.

    It lowers every task's loss, or is zero where no direction does. A task
    with a short gradient gets most of the weight.

    Reference: Sener, Koltun, *Multi-Task Learning as Multi-Objective
    Optimization*, 2018 (arXiv 1810.04650), Eq. 3; times the number of
    tasks.

    Args:
        **kwargs: `rows`; see `Aggregator`.

    Example:

    >>> aggregator = keras_selfaux.aggregators.MGDA()
    >>> aggregator.weights([[1.0, 0.0], [0.0, 4.0]])  # times K = 2
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1.6, 0.4], ...)>
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "mgda")
        super().__init__(**kwargs)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns K times the weights of the min-norm point."""
        found = min_norm_weights(gramian, present)
        return Coefficients(count(present) * found.value, found.converged)
