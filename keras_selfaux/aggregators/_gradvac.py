"""GradVac: rows are turned until they are as aligned as they used to be."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_within
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._pairwise import PairwiseAggregator
from keras_selfaux.aggregators._unit_rows import square

# Turning a row to a cosine of 1 would take an endless part of the other.
_LARGEST_TARGET = 0.999
# A shorter rest of a row, relative to what it was made of, is rounding.
_ROUNDING = 1e-3


@register
class GradVac(PairwiseAggregator):
    """Turns each row towards the others, up to the cosine that is usual.

    As `PCGrad`, but the goal for the cosine of two rows is its moving
    average instead of 0, so that rows which mostly agree are turned
    already where they agree less. Meant for tasks that are alike. Each
    call, of `weights` too, counts as a step of the averages.

    Reference: Wang, Tsvetkov, Firat, Cao, *Gradient Vaccine: Investigating
    and Improving Multi-task Optimization in Massively Multilingual
    Models*, 2020 (arXiv 2010.05874), Algorithm 1; for all shared variables
    together, with targets bounded by ±0.999, beyond which rounding decides.

    Args:
        beta: The share of the newest cosine in the moving averages, in
            (0, 1]. Defaults to `0.01`.
        seed: An integer for the same orders every time. Defaults to `None`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `beta` is not in range or `seed` is no integer.

    Example:

    >>> aggregator = keras_selfaux.aggregators.GradVac(beta=0.1)
    >>> aggregator.weights([[1.0, -1.0], [-1.0, 2.0]])  # at first as PCGrad
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([2. , 1.5], ...)>
    """

    def __init__(
        self, beta: float = 0.01, seed: int | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "gradvac")
        super().__init__(seed, **kwargs)
        check_within("beta", beta, "(0, 1]")
        self.beta = beta

    def build_state(self, num_rows: int) -> None:
        """Creates the moving averages of the cosines."""
        self.targets = self.add_state("targets", (num_rows, num_rows))

    def bend(
        self,
        bent: Tensor,
        projections: Tensor,
        cosines: Tensor,
        others: Tensor,
        meets: Tensor,
    ) -> Tensor:
        """Turns h_i to the target, where it is further away, and learns."""
        squared = square(bent, cosines)
        parts = ops.sum(ops.abs(bent), axis=1)
        known = squared > ops.square(_ROUNDING * parts)
        length = ops.sqrt(ops.where(known, squared, ops.ones_like(squared)))
        cosine = ops.clip(projections / length, -1.0, 1.0)
        target = ops.sum(others * self.targets, axis=1)
        self._learn(cosine - target, others, ops.logical_and(meets, known))
        target = ops.clip(target, -_LARGEST_TARGET, _LARGEST_TARGET)
        # Of the sines' ratio: how much of the other turns h_i that far.
        sines = ops.sqrt((1 - ops.square(cosine)) / (1 - ops.square(target)))
        turn = length * (target * sines - cosine)
        turns = ops.logical_and(known, cosine < target)
        return ops.where(turns, turn, ops.zeros_like(turn))

    def _learn(self, error: Tensor, others: Tensor, moves: Tensor) -> None:
        error = ops.where(moves, error, ops.zeros_like(error))
        self.targets.assign_add(self.beta * error[:, None] * others)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the averages."""
        return {**super().get_config(), "beta": self.beta}
