"""IMTL-G: an update of which every row sees the same."""

from typing import Any

from keras import ops

from keras_selfaux._linalg import pseudo_solve
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import (
    Coefficients,
    GramianAggregator,
    count,
)
from keras_selfaux.aggregators._unit_rows import lengths_and_cosines

# The least |sum of v|, relative to the sum of |v|, that is divided by.
_LEAST_SUM = 0.01


@register
class ImpartialGradient(GramianAggregator):
    """Follows the direction with equal projections on all unit rows.

    Every task's loss falls by the same amount relative to the length of
    its gradient, so that long gradients do not decide. The direction
    exists where the rows are linearly independent; elsewhere the one with
    the most equal projections takes its place, or none. Weights may be
    negative.

    Reference: Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang, *Towards
    Impartial Multi-task Learning*, 2021 (ICLR, OpenReview IMPnRXEWpvr),
    IMTL-G; times the number K of tasks. Weights proportional to v are
    divided by |sum of v|, where the authors divide by the sum, and by no
    less than 0.01 times the sum of |v|: none exceeds 100 K.

    Args:
        **kwargs: `rows`; see `Aggregator`.

    Example:

    >>> aggregator = keras_selfaux.aggregators.ImpartialGradient()
    >>> aggregator.weights([[1.0, 0.0], [0.0, 9.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1.5, 0.5], ...)>
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "impartial_gradient")
        super().__init__(**kwargs)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns weights whose combination has equal projections."""
        lengths, cosines = lengths_and_cosines(gramian, present)
        ones = ops.cast(present, "float32")
        # In terms of unit rows, where long rows do not hide short ones.
        v = ops.divide_no_nan(pseudo_solve(cosines, present, ones), lengths)
        # The rows times v have positive projections, all 1, whatever the
        # sign of sum(v): by its absolute value, the update always descends.
        total = ops.maximum(
            ops.abs(ops.sum(v)), _LEAST_SUM * ops.sum(ops.abs(v))
        )
        return Coefficients(count(present) * ops.divide_no_nan(v, total))
