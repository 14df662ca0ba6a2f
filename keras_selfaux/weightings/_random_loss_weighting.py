"""RLW: weights drawn at random."""

from typing import Any

from keras_selfaux._random import normal, seed_generator
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.weightings._base import Weighting
from keras_selfaux.weightings._present import count, softmax


@register
class RandomLossWeighting(Weighting):
    """Draws new weights at every step, with a mean of 1.

    They are K times the softmax of K standard normal numbers, K being the
    number of losses with labels in the batch. The noise may help to leave
    poor minima. Choose it as a baseline: what does no better than random
    weights has learned nothing of use.

    Reference: Lin, Ye, Zhang, Tsang, *Reasonable Effectiveness of Random
    Weighting: A Litmus Test for Multi-Task Learning*, 2022 (arXiv
    2111.10603), with the normal distribution; times K.

    Args:
        seed: An integer that makes the draws reproducible. Defaults to
            `None`: other draws in every run.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `seed` is not an integer of at least 0.

    Example:

    >>> weighting = keras_selfaux.weightings.RandomLossWeighting(seed=1)
    """

    is_momentary = True

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("name", "random_loss_weighting")
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = seed_generator(seed)

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns new random weights."""
        draws = normal((len(self.units),), self.seed_generator)
        return count(present) * softmax(draws, present)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state of the generator."""
        return {**super().get_config(), "seed": self.seed}
