"""CAGrad: the mean row, shifted for the task that gains the least."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._linalg import conflict_averse_weights
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import (
    Coefficients,
    GramianAggregator,
    count,
)
from keras_selfaux.aggregators._unit_rows import square

# A shorter combination, relative to what it was made of, is rounding.
_ROUNDING = 1e-3


@register
class CAGrad(GramianAggregator):
    """Stays near the mean row, but looks after the worst-off task.

    Within a ball of radius `c` times its length around the mean row g_0,
    it picks the update whose smallest inner product with a row is largest:
    g_0 + c |g_0| / |g_w| g_w, where g_w is a convex combination of the
    rows. `c=0` is the sum of the rows; the larger `c`, the nearer to
    `MGDA`. For `c` below 1 it still converges to a minimum of the mean.

    Reference: Liu, Liu, Jin, Stone, Liu, *Conflict-Averse Gradient Descent
    for Multi-task Learning*, 2021 (arXiv 2110.14048), Algorithm 1; divided
    by 1 + c², as its authors do, and times the number K of tasks. K equal
    rows so give (1 + c) / (1 + c²) K times the row.

    Args:
        c: The radius relative to the mean row, zero or a positive number.
            Defaults to `0.4`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `c` is negative.

    Example:

    >>> aggregator = keras_selfaux.aggregators.CAGrad(c=0.5)
    >>> aggregator.weights([[1.0, 0.0], [0.0, 1.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1.2, 1.2], ...)>
    """

    def __init__(self, c: float = 0.4, **kwargs: Any) -> None:
        kwargs.setdefault("name", "cagrad")
        super().__init__(**kwargs)
        check_positive("c", c, zero=True)
        self.c = c

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns K times the weights of the best point of the ball."""
        number = count(present)
        uniform = ops.cast(present, "float32") / number
        if self.c == 0:
            return Coefficients(number * uniform)
        found = conflict_averse_weights(gramian, present, self.c)
        ratio = self._ratio(uniform, found.value, gramian)
        values = uniform + self.c * ratio * found.value
        values = values * number / (1 + self.c**2)
        return Coefficients(values, found.converged)

    def _ratio(
        self, uniform: Tensor, weights: Tensor, gramian: Tensor
    ) -> Tensor:
        """Returns |g_0| / |g_w|, or 0 where g_w has no direction."""
        squared = square(weights, gramian)
        lengths = ops.sqrt(ops.diagonal(gramian))
        parts = ops.sum(ops.abs(weights) * lengths)
        known = squared > ops.square(_ROUNDING * parts)
        ratio = ops.divide_no_nan(square(uniform, gramian), squared)
        return ops.where(known, ops.sqrt(ratio), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "c": self.c}
