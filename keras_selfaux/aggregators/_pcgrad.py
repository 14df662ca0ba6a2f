"""PCGrad: no row keeps what points against another one."""

from typing import Any

from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._pairwise import PairwiseAggregator


@register
class PCGrad(PairwiseAggregator):
    """Projects each row off the rows it conflicts with, and sums them.

    Two rows conflict if their inner product is negative. A row meets the
    others in random order; where what is left of it points against another
    row, it loses that part. Cheap, without anything to tune, and plain
    summation where nothing conflicts. With three rows or more the update
    may still conflict with one of them; see `UPGrad`.

    Reference: Yu, Kumar, Gupta, Levine, Hausman, Finn, *Gradient Surgery
    for Multi-Task Learning*, 2020 (arXiv 2001.06782), Algorithm 1.

    Args:
        seed: An integer for the same orders every time. Defaults to `None`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `seed` is no integer.

    Example:

    >>> aggregator = keras_selfaux.aggregators.PCGrad()
    >>> aggregator.weights([[1.0, -1.0], [-1.0, 2.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([2. , 1.5], ...)>
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("name", "pcgrad")
        super().__init__(seed, **kwargs)

    def bend(
        self,
        bent: Tensor,
        projections: Tensor,
        cosines: Tensor,
        others: Tensor,
        meets: Tensor,
    ) -> Tensor:
        """Takes away what points against the other row."""
        return ops.maximum(-projections, 0.0)
