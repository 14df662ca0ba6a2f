"""`LogWeights`: the base of weightings that learn the scale of each loss."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation, Weighting


class LogWeights(Weighting):
    """Descends `sum(ω l - product log ω)` along log ω, from ω = 1 on.

    Its minimum has ω l = `product` for every loss l.

    Attributes:
        product: The product of weight and loss at the optimum.
    """

    bounds = (1e-4, 1e4)
    product = 1.0

    def __init__(self, learning_rate: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.optimizer = keras.optimizers.Adam(
            float(learning_rate), epsilon=1e-10
        )

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the logarithms of the weights, and Adam's state."""
        self.log_weights = self.add_state("log_weights", (len(units),))
        self.optimizer.build([self.log_weights])

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the learned weights."""
        return ops.exp(ops.convert_to_tensor(self.log_weights))

    def learn(self, observation: Observation) -> None:
        """Takes an Adam step on the logarithms of the weights."""
        weights = ops.exp(ops.convert_to_tensor(self.log_weights))
        gradient = weights * observation.losses - self.product
        self.descend(self.log_weights, gradient, observation.present)
        # Beyond the bounds, the way back would take as long as the way out.
        low, high = (math.log(bound) for bound in self.bounds)
        self.log_weights.assign(ops.clip(self.log_weights, low, high))

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the learned weights."""
        return {**super().get_config(), "learning_rate": self.learning_rate}
