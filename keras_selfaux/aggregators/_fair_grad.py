"""FairGrad: the total gain of the tasks, with as much fairness as asked."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_choice, check_positive
from keras_selfaux._linalg import fair_weights
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import (
    Coefficients,
    GramianAggregator,
    count,
)


@register
class FairGrad(GramianAggregator):
    """Shares the gain out among the tasks, as fairly as `alpha` asks.

    A task's gain is the inner product of the update and its row. The
    update maximises the sum of gain^(1 - alpha) / (1 - alpha): the larger
    `alpha`, the more a task with a small gain counts. 1 is `NashMTL`;
    towards 0, weights become equal; towards infinity, gains do. Weights w
    are positive and solve M w = w^(-1/alpha), with M the rows' Gramian.
    There is no solution where rows are opposed; see `Aggregator.failures`.

    Reference: Ban, Ji, *Fair Resource Allocation in Multi-Task Learning*,
    2024 (arXiv 2402.15638); with weights scaled to sum to the number K of
    tasks.

    Args:
        alpha: How fair, a positive number. Defaults to `1.0`.
        scale: `"sum"`: weights sum to K. `"authors"`: weights solve the
            equation, whatever that makes of the update's length: it hardly
            depends on the rows' length, and clipping is advised. Defaults
            to `"sum"`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `alpha` is not positive, or `scale` not known.

    Example:

    >>> aggregator = keras_selfaux.aggregators.FairGrad(alpha=1.0)
    >>> aggregator.weights([[1.0, 0.0], [0.0, 9.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1.5, 0.5], ...)>
    """

    def __init__(
        self, alpha: float = 1.0, scale: str = "sum", **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "fair_grad")
        super().__init__(**kwargs)
        check_positive("alpha", alpha)
        check_choice("scale", scale, ("sum", "authors"))
        self.alpha = alpha
        self.scale = scale
        if scale == "authors":
            # M is of degree 2: w^(-1/alpha - 1) is too.
            self.degree = -2 * alpha / (alpha + 1)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the weights that share out the gain."""
        values, converged = fair_weights(gramian, present, self.alpha)
        if self.scale == "sum":
            # Without a solution weights may be huge: their sum overflows.
            values = ops.divide_no_nan(values, ops.max(values))
            total = ops.sum(values)
            values = values * ops.divide_no_nan(count(present), total)
        return Coefficients(values, converged)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        settings = {"alpha": self.alpha, "scale": self.scale}
        return {**super().get_config(), **settings}
