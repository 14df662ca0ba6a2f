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
        # Rows left out come last.
        far = ops.full_like(rows, float("inf"))
        rows = ops.where(ops.reshape(present, column), rows, far)
        ordered = ops.sort(rows, axis=0)
        place = ops.arange(rows.shape[0], dtype="float32")
        kept = ops.logical_and(place >= trimmed, place < number - trimmed)
        kept = ops.reshape(kept, column)
        total = ops.sum(ops.where(kept, ordered, 0.0), axis=0)
        return total * ops.divide_no_nan(number, number - 2 * trimmed)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "trim_number": self.trim_number}
