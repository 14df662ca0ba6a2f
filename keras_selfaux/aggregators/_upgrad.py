"""UPGrad: every row is made to conflict with none, then they are summed."""

from typing import Any

from keras import ops

from keras_selfaux._linalg import cone_weights
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Coefficients, GramianAggregator


@register
class UPGrad(GramianAggregator):
    """Sums the projections of the rows onto what conflicts with no row.

    No task's loss rises, to first order, and long rows keep their weight.
    Where nothing conflicts it is the plain sum; with two rows it is
    `PCGrad`, and with more, what that approximates.

    Reference: Quinton, Rey, *Jacobian Descent for Multi-Objective
    Optimization*, 2024 (arXiv 2406.16232).

    Args:
        **kwargs: `rows`; see `Aggregator`.

    Example:

    >>> aggregator = keras_selfaux.aggregators.UPGrad()
    >>> aggregator.weights([[1.0, -1.0], [-1.0, 2.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([2. , 1.5], ...)>
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "upgrad")
        super().__init__(**kwargs)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the sum of the projections' coefficients."""
        lower = ops.diag(ops.cast(present, "float32"))
        values, converged = cone_weights(gramian, present, lower)
        return Coefficients(ops.sum(values, axis=0), ops.all(converged))
