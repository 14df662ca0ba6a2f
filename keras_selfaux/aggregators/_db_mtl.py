"""DB-MTL: gradients of logarithmic losses, all made equally long."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive, check_within
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows, combined
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import count, nan_unless_finite
from keras_selfaux.aggregators._tracking import TrackingAggregator

# What the authors add to losses before they take logarithms.
_EPSILON = 1e-8


@register
class DBMTL(TrackingAggregator):
    """Balances losses by their logarithm, and gradients by their length.

    The rows are divided by the tasks' losses, averaged over steps, and
    stretched to the length of the longest. Neither the losses' units nor
    their size then decide who is heard. Conflicts remain. A loss should be
    positive; of a negative one the absolute value is taken.

    Reference: Lin, Jiang, Ye, Zhang, Chen, Chen, Liu, Kwok,
    *Dual-Balancing for Multi-Task Learning*, 2023 (arXiv 2308.12029),
    Algorithm 1; with averages of what was seen alone, where the authors'
    start from 0, and times the geometric mean of the losses: K equal rows
    of equal losses so give K times the row. Variables that are not shared
    get the gradients of the losses themselves.

    Args:
        beta: The weight of the earlier rows in the averages, in [0, 1).
            Defaults to `0.9`.
        sigma: At a row's k-th step that weight is beta / k^sigma. Zero or
            a positive number. Defaults to `0.0`.
        **kwargs: See `Aggregator`.

    Raises:
        ValueError: If an argument is not in range.

    Example:

    >>> aggregator = keras_selfaux.aggregators.DBMTL(beta=0.5, sigma=0.5)
    >>> model.compile("adam", loss="mse", aggregator=aggregator)
    """

    def __init__(
        self, beta: float = 0.9, sigma: float = 0.0, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "db_mtl")
        super().__init__(**kwargs)
        check_within("beta", beta, "[0, 1)")
        check_positive("sigma", sigma, zero=True)
        self.beta = beta
        self.sigma = sigma

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns the averages, made equally long, in sum."""
        present = rows.present
        losses = ops.where(present, ops.abs(rows.losses), 1.0) + _EPSILON
        factor = nan_unless_finite(rows)
        factor = ops.where(ops.all(ops.isfinite(losses)), factor, float("nan"))
        averages = self.track(
            _times(rows.tensors, 1 / losses),
            ops.logical_and(present, ops.isfinite(factor)),
            lambda step: 1 - self.beta * ops.power(step, -self.sigma),
        )
        lengths = ops.where(present, _lengths(averages), 0.0)
        mean = ops.sum(ops.log(losses) * ops.cast(present, "float32"))
        mean = ops.exp(mean / count(present))
        factor = factor * mean * ops.max(lengths)
        units = combined(averages, ops.divide_no_nan(1.0, lengths))
        return [factor * tensor for tensor in units]

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the averages."""
        settings = {"beta": self.beta, "sigma": self.sigma}
        return {**super().get_config(), **settings}


def _times(tensors: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    """Returns each row times its factor, of shape `(K,)`."""
    return [
        ops.reshape(factors, (-1, *(1,) * (len(tensor.shape) - 1))) * tensor
        for tensor in tensors
    ]


def _lengths(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the rows' lengths, `(K,)`, without squares that overflow."""
    flat = [ops.reshape(t, (t.shape[0], -1)) for t in tensors]
    largest = ops.max(
        ops.stack([ops.max(ops.abs(t), axis=1) for t in flat]), axis=0
    )
    divisor = ops.where(largest > 0, largest, ops.ones_like(largest))
    squares = sum(
        ops.sum(ops.square(t / divisor[:, None]), axis=1) for t in flat
    )
    return largest * ops.sqrt(squares)
