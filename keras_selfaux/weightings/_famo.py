"""FAMO: all losses are to fall by the same factor, without extra gradients."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation, Weighting
from keras_selfaux.weightings._present import count, softmax, total
from keras_selfaux.weightings._task_numbers import (
    TaskNumbers,
    checked,
    of_units,
)

_EPSILON = 1e-8


@register
class FAMO(Weighting):
    """Learns weights under which all losses fall at the same rate.

    After each step the losses of the same batch are computed once more.
    Tasks whose logarithm fell least gain weight. A weight is proportional
    to `z / (l - b)`, where z is the softmax of what is learned, l the loss
    and b the least value it can have; weights sum to the number K of
    losses. Choose it for the balance of gradient methods at the price of
    one forward pass. Weights lie between 0 and K. With an optimizer that
    accumulates gradients it learns at the steps alone that move the model.

    Reference: Liu, Feng, Stone, Liu, *FAMO: Fast Adaptive Multitask
    Optimization*, 2023 (arXiv 2306.03792); times the number of losses.

    Args:
        learning_rate: Of the Adam optimizer of the softmax's logits.
            Defaults to 0.025.
        weight_decay: Pulls the logits back to 0, which is added to their
            gradient: 0 or more. Defaults to `1e-3`.
        minimum_losses: The least value each loss can have: a number, or
            `{task: number}`, with 0 for tasks left out. Losses that come
            closer than 1e-8 count as 1e-8 above it. Defaults to 0.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `learning_rate` is not positive, `weight_decay` is
            negative, or `minimum_losses` is no number or names a task that
            the model does not have.

    Example:

    >>> model.compile("adam", loss="mse", weighting="famo")
    """

    is_momentary = True
    needs_later_losses = True

    def __init__(
        self,
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
        minimum_losses: TaskNumbers = 0.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "famo")
        super().__init__(**kwargs)
        check_positive("learning_rate", learning_rate)
        check_positive("weight_decay", weight_decay, zero=True)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self._minimum_losses = checked("minimum_losses", minimum_losses)
        self._minima: list[float] = []
        self.optimizer = keras.optimizers.Adam(
            float(learning_rate), epsilon=1e-10
        )

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the logits and Adam's state."""
        self._minima = of_units(
            "minimum_losses", self._minimum_losses, units, default=0.0
        )
        self.logits = self.add_state("logits", (len(units),))
        self.optimizer.build([self.logits])

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns K times the normalised `z / (l - b)`."""
        logits = self.logits - self._log_gaps(losses)
        return count(present) * softmax(logits, present)

    def learn(self, observation: Observation) -> None:
        """Takes an Adam step against the differences in improvement."""
        present = observation.present
        shares = softmax(ops.convert_to_tensor(self.logits), present)
        improvement = self._log_gaps(observation.losses) - self._log_gaps(
            observation.later_losses
        )
        # Descent, so what improved more than the average loses weight.
        average = total(shares * improvement, present)
        gradient = shares * (improvement - average)
        decay = self.weight_decay * ops.convert_to_tensor(self.logits)
        self.descend(self.logits, gradient + decay, present)

    def _log_gaps(self, losses: Tensor) -> Tensor:
        minima = ops.convert_to_tensor(self._minima, dtype="float32")
        return ops.log(ops.maximum(losses - minima, _EPSILON))

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the logits."""
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "minimum_losses": self._minimum_losses,
        }
