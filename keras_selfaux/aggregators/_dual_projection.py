"""DualProjection: the sum of the rows, projected off all conflicts."""

from typing import Any

from keras import ops

from keras_selfaux._linalg import cone_weights
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Coefficients, GramianAggregator


@register
class DualProjection(GramianAggregator):
    """Follows the vector nearest to the sum that conflicts with no row.

    No task's loss rises, to first order, with as little change to the
    plain sum as that takes. A row that the sum already contradicts is no
    more than kept from being harmed; see `UPGrad`, which is kinder to it.

    Reference: Lopez-Paz, Ranzato, *Gradient Episodic Memory for Continual
    Learning*, 2017 (arXiv 1706.08840); for the sum of the rows.

    Args:
        **kwargs: `rows`; see `Aggregator`.

    Example:

    >>> aggregator = keras_selfaux.aggregators.DualProjection()
    >>> aggregator.weights([[1.0, -2.0], [-2.0, 5.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([2., 1.], ...)>
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "dual_projection")
        super().__init__(**kwargs)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the coefficients of the projected sum."""
        lower = ops.cast(present, "float32")
        values, converged = cone_weights(gramian, present, lower)
        return Coefficients(values, ops.all(converged))
