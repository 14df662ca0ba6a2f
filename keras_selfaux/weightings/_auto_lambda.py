"""Auto-Lambda: task weights learned by what helps on held-out data."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_count, check_positive
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Weighting


@register
class AutoLambda(Weighting):
    """Learns the weights bilevel: they follow the loss on a meta batch.

    After each step's gradient g, the network is moved virtually to
    θ' = θ - α g, where α is the current learning rate; the weights then
    descend the primaries' loss on the meta batch at θ'. Its derivative with
    respect to weight i is `-α <d, ∇L_i(θ)>` with d the meta loss's gradient
    at θ', computed exactly, for all i at once, by one forward-mode product.

    Weights stay between 0 and 1e4.

    Reference: Liu, James, Davison, Johns, *Auto-Lambda: Disentangling
    Dynamic Task Relationships*, 2022 (arXiv 2202.03091), Eqs. 3-5; with the
    derivative exact instead of by finite differences.

    Args:
        learning_rate: Of the Adam optimizer of the weights. Defaults to
            `1e-4`.
        initial_weight: What every weight starts from. Defaults to `0.1`.
        update_every: Update the weights every so many steps; the others
            cost no more than equal weights, but for several replicas, which
            compute an update at every step. Defaults to 1.
        **kwargs: `by` (here `"edge"` by default) and `normalize`; see
            `Weighting`. The derivative goes through both.

    Raises:
        ValueError: If an argument is not positive.

    Example:

    >>> model.compile("adam", loss="mse", weighting="auto_lambda")
    >>> model.fit(x, y, meta_data=(x_val, y_val))
    """

    bounds = (0.0, 1e4)
    default_by = "edge"
    needs_meta_data = True

    def __init__(
        self,
        learning_rate: float = 1e-4,
        initial_weight: float = 0.1,
        update_every: int = 1,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "auto_lambda")
        super().__init__(**kwargs)
        check_positive("learning_rate", learning_rate)
        check_positive("initial_weight", initial_weight)
        check_count("update_every", update_every, least=1)
        self.learning_rate = learning_rate
        self.initial_weight = initial_weight
        self.update_every = update_every
        # The gradient has the network's learning rate as a factor: with
        # Keras's default of 1e-7, epsilon would swallow the first steps.
        self.optimizer = keras.optimizers.Adam(
            float(learning_rate), epsilon=1e-10
        )

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the weights and their optimizer's state."""
        self.raw = self.add_state("raw", (len(units),), self.initial_weight)
        self.optimizer.build([self.raw])

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the learned weights."""
        return ops.convert_to_tensor(self.raw)

    def update(self, gradient: Tensor) -> None:
        """Takes an Adam step on the weights and clips them to `bounds`."""
        raw = ops.convert_to_tensor(self.raw)
        everywhere = ops.ones_like(raw, dtype="bool")
        self.descend(self.raw, self.gradient_of_raw(gradient, raw), everywhere)
        self.raw.assign(ops.clip(self.raw, *self.bounds))

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the learned weights."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "initial_weight": self.initial_weight,
            "update_every": self.update_every,
        }
