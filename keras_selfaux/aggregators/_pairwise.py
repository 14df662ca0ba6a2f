"""`PairwiseAggregator`: each row is bent by the others, one by one."""

from typing import Any

from keras import ops

from keras_selfaux._random import seed_generator, uniform
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Coefficients, GramianAggregator
from keras_selfaux.aggregators._unit_rows import lengths_and_cosines


class PairwiseAggregator(GramianAggregator):
    """Sums rows that were bent by each other, in random order.

    A copy h_i of every row meets the other rows, one after the other, and
    gets as much of each as `bend` says.

    Args:
        seed: An integer for the same orders every time. Defaults to `None`.
        **kwargs: See `Aggregator`.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = seed_generator(seed)

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the coefficients of the sum of the bent rows."""
        num_rows = gramian.shape[0]
        lengths, cosines = lengths_and_cosines(gramian, present)
        order = self._orders(num_rows)
        bent = ops.diag(lengths)
        for place in range(num_rows):
            met = order[:, place]
            others = ops.one_hot(met, num_rows, dtype="float32")
            projections = ops.sum(bent * ops.take(cosines, met, axis=0), 1)
            meets = ops.logical_and(present, ops.take(present, met))
            meets = ops.logical_and(meets, met != ops.arange(num_rows))
            added = self.bend(bent, projections, cosines, others, meets)
            added = ops.where(meets, added, ops.zeros_like(added))
            bent = bent + added[:, None] * others
        return Coefficients(ops.divide_no_nan(ops.sum(bent, 0), lengths))

    def bend(
        self,
        bent: Tensor,
        projections: Tensor,
        cosines: Tensor,
        others: Tensor,
        meets: Tensor,
    ) -> Tensor:
        """Returns how much each h_i gets of the row it meets.

        All is in terms of the unit rows: the rows divided by their lengths.

        Args:
            bent: Tensor of shape `(K, K)`: row i holds the coefficients of
                the unit rows in h_i.
            projections: Tensor of shape `(K,)`: the inner product of h_i
                and the unit row it meets.
            cosines: Tensor of shape `(K, K)`: between the rows.
            others: Tensor of shape `(K, K)`: row i is 1 at what h_i meets.
            meets: Tensor of shape `(K,)`, bool: false where h_i meets
                itself or a row that is left out; what those get is ignored.

        Returns:
            Tensor of shape `(K,)`: the coefficients of the unit rows met.
        """
        raise NotImplementedError

    def _orders(self, num_rows: int) -> Tensor:
        """Returns one random order of the rows for each row, `(K, K)`."""
        keys = uniform((num_rows, num_rows), self.seed_generator)
        return ops.argsort(keys, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state."""
        return {**super().get_config(), "seed": self.seed}
