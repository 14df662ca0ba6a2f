"""TrimmedMean: the mean per coordinate, without the extremes."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_count
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Aggregator, nan_unless_finite


@register
class TrimmedMean(Aggregator):
    """Averages each coordinate without its largest and smallest entries.

    For many tasks of which a few have gradients not to be trusted, such as
    those with noisy labels. With as much trimmed as there is to trim, it
    is the median.

    Reference: Yin, Chen, Ramchandran, Bartlett, *Byzantine-Robust
    Distributed Learning: Towards Optimal Statistical Rates*, 2018
    (arXiv 1803.01498), Definition 2; times the number K of tasks.

    Args:
        trim_number: How many entries to leave out at either end, 0 or
            more; (K - 1) // 2 where there are too few. Defaults to 1.
        **kwargs: See `Aggregator`.

    Raises:
        ValueError: If `trim_number` is no integer, or negative.

    Example:

    >>> aggregator = keras_selfaux.aggregators.TrimmedMean(trim_number=2)
    >>> model.compile("adam", loss="mse", aggregator=aggregator)
    """

    def __init__(self, trim_number: int = 1, **kwargs: Any) -> None:
        kwargs.setdefault("name", "trimmed_mean")
        super().__init__(**kwargs)
        check_count("trim_number", trim_number, least=0)
        self.trim_number = trim_number

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns K times the mean of the entries that are left."""
        factor = nan_unless_finite(rows)
        return [factor * self._mean(t, rows.present) for t in rows.tensors]

    def _mean(self, rows: Tensor, present: Tensor) -> Tensor:
        number = ops.sum(ops.cast(present, "float32"))
        trimmed = ops.floor((number - 1) / 2)
        trimmed = ops.clip(trimmed, 0.0, float(self.trim_number))
        column = (-1, *(1,) * (len(rows.shape) - 1))
        is_there = ops.logical_and(
            ops.reshape(present, column), ops.ones_like(rows, dtype="bool")
        )
        # One by one: XLA sorts many short columns slowly.
        for place in range(min(self.trim_number, (rows.shape[0] - 1) // 2)):
            for signed in (rows, -rows):
                extreme = _places_of_largest(signed, is_there)
                dropped = ops.logical_and(extreme, place < trimmed)
                is_there = ops.logical_and(is_there, ~dropped)
        total = ops.sum(ops.where(is_there, rows, 0.0), axis=0)
        return total * ops.divide_no_nan(number, number - 2 * trimmed)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "trim_number": self.trim_number}


def _places_of_largest(rows: Tensor, is_there: Tensor) -> Tensor:
    """Marks the largest entry of each column, the first one of equals."""
    lowest = ops.full_like(rows, -float("inf"))
    largest = ops.argmax(ops.where(is_there, rows, lowest), axis=0)
    return ops.one_hot(largest, rows.shape[0], axis=0, dtype="bool")
