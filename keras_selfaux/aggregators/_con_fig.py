"""ConFIG: a direction at the same angle to all rows."""

from typing import Any

from keras import ops

from keras_selfaux._linalg import pseudo_solve
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Coefficients, GramianAggregator
from keras_selfaux.aggregators._unit_rows import (
    applied,
    lengths_and_cosines,
    square,
)

# A shorter combination of unit rows, relative to their number, is rounding.
_ROUNDING = 1e-3


@register
class ConFIG(GramianAggregator):
    """Follows the direction that makes one angle with all rows.

    The update is as long as the rows' projections on it together: long
    where rows agree, short where they conflict. The direction is that of
    `ImpartialGradient`, the length is not. Where rows are linearly
    dependent, the direction with the most equal cosines takes its place.

    Reference: Liu, Chu, Thuerey, *ConFIG: Towards Conflict-free Training
    of Physics Informed Neural Networks*, 2024 (arXiv 2408.11104).

    Args:
        **kwargs: `rows`; see `Aggregator`.

    Example:

    >>> aggregator = keras_selfaux.aggregators.ConFIG()
    >>> aggregator.weights([[1.0, 0.0], [0.0, 9.0]])
    <tf.Tensor: ..., numpy=array([2. , 0.6666667], dtype=float32)>
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "config")
        super().__init__(**kwargs)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the coefficients of the direction, times its length."""
        lengths, cosines = lengths_and_cosines(gramian, present)
        ones = ops.cast(present, "float32")
        # With U the unit rows, U⁺ 1 = Uᵀ (U Uᵀ)⁺ 1.
        direction = pseudo_solve(cosines, present, ones)
        squared = square(direction, cosines)
        known = squared > ops.square(_ROUNDING * ops.sum(ones))
        projections = ops.sum(lengths * applied(cosines, direction))
        factor = ops.divide_no_nan(projections, squared)
        factor = ops.where(known, factor, 0.0)
        return Coefficients(factor * ops.divide_no_nan(direction, lengths))
