"""Krum: the rows that are nearest to the others."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_count
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import (
    Coefficients,
    GramianAggregator,
    count,
)


@register
class Krum(GramianAggregator):
    """Averages the rows that lie nearest to their neighbours.

    A row's score is the sum of its squared distances to the K - f - 2
    nearest others, at least one; those with the lowest scores are kept.
    For many tasks of which a few have gradients not to be trusted, such as
    those with noisy labels; tasks that are merely different are ignored
    too. Of equal scores the first counts: with two tasks, the first.

    Reference: Blanchard, El Mhamdi, Guerraoui, Stainer, *Byzantine-Tolerant
    Machine Learning*, 2017 (arXiv 1703.02757); times the number K of
    tasks.

    Args:
        num_byzantine: The number f of rows not to be trusted, 0 or more.
            Defaults to 1.
        num_selected: How many rows to average, 1 or more; all if there are
            no more. Defaults to 1.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If an argument is no integer in range.

    Example:

    >>> aggregator = keras_selfaux.aggregators.Krum()
    >>> rows = np.array([[1.0], [2.0], [2.5], [9.0]])
    >>> aggregator.weights(rows @ rows.T)
    <tf.Tensor: ..., numpy=array([0., 4., 0., 0.], dtype=float32)>
    """

    def __init__(
        self, num_byzantine: int = 1, num_selected: int = 1, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "krum")
        super().__init__(**kwargs)
        check_count("num_byzantine", num_byzantine, least=0)
        check_count("num_selected", num_selected, least=1)
        self.num_byzantine = num_byzantine
        self.num_selected = num_selected

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns K times the mean of the rows with the lowest scores."""
        scores = self._scores(gramian, present)
        index = ops.arange(gramian.shape[0])
        is_first = ops.logical_and(
            scores == scores[:, None], index < index[:, None]
        )
        before = ops.logical_or(scores < scores[:, None], is_first)
        rank = ops.sum(ops.cast(before, "float32"), axis=1)
        chosen = ops.logical_and(rank < self.num_selected, present)
        values = ops.cast(chosen, "float32")
        return Coefficients(values * count(present) / count(chosen))

    def _scores(self, gramian: Tensor, present: Tensor) -> Tensor:
        """Returns the sums of squared distances, infinite where absent."""
        squares = ops.diagonal(gramian)
        # Exactly symmetric, so that equal scores are equal to the bit.
        products = gramian + ops.transpose(gramian)
        distances = squares + squares[:, None] - products
        num_rows = gramian.shape[0]
        others = ops.logical_and(present, ops.logical_not(ops.eye(num_rows)))
        far = ops.full_like(distances, float("inf"))
        nearest = ops.sort(ops.where(others, distances, far), axis=1)
        number = count(present)
        neighbours = ops.minimum(
            ops.maximum(number - self.num_byzantine - 2, 1.0), number - 1
        )
        place = ops.arange(num_rows, dtype="float32")
        counted = ops.where(place < neighbours, nearest, 0.0)
        return ops.where(present, ops.sum(counted, axis=1), float("inf"))

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {
            **super().get_config(),
            "num_byzantine": self.num_byzantine,
            "num_selected": self.num_selected,
        }
