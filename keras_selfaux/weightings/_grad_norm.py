"""GradNorm: gradients of a length that fits each task's progress."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation
from keras_selfaux.weightings._present import count, mean, softmax
from keras_selfaux.weightings._row_weights import RowWeights

# A loss that is not greater counts as this; rates need positive ones.
_LEAST = 1e-8


@register
class GradNorm(RowWeights):
    """Learns weights that balance the tasks' gradients and learning speeds.

    The weighted gradient of each task, on the variables that tasks share,
    is drawn towards the mean length of all, times a power `alpha` of how
    much of its first loss the task still has, relative to the others: slow
    tasks gain weight. Weights sum to the number of tasks and are at least
    1e-3. Choose it where tasks learn at different speeds. It costs one
    gradient per task. Losses of at most 1e-8 count as 1e-8.

    Reference: Chen, Badrinarayanan, Lee, Rabinovich, *GradNorm: Gradient
    Normalization for Adaptive Loss Balancing in Deep Multitask Networks*,
    2018 (arXiv 1711.02257), Eqs. 1-2; with all shared variables, and the
    first loss seen of each task as its initial one.

    Args:
        alpha: How strongly slow tasks are favoured: 0 or more. Defaults to
            1.5.
        learning_rate: Of the Adam optimizer of the weights. Defaults to
            0.025.
        **kwargs: `name`. There is one weight per task: `by` and `normalize`
            cannot be changed.

    Raises:
        ValueError: If `alpha` is negative, `learning_rate` is not positive,
            or `by` or `normalize` is changed.

    Example:

    >>> model.compile("adam", loss="mse", weighting="grad_norm")
    """

    def __init__(
        self,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "grad_norm")
        super().__init__(**kwargs)
        check_positive("alpha", alpha, zero=True)
        check_positive("learning_rate", learning_rate)
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.optimizer = keras.optimizers.Adam(
            float(learning_rate), epsilon=1e-10
        )

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the weights, the first losses and Adam's state."""
        super().build_state(units)
        # 0 until a loss has been seen.
        self.initial = self.add_state("initial", (len(units),))
        self.optimizer.build([self.raw])

    def proposed(
        self, observation: Observation, rows: Rows, present: Tensor
    ) -> Tensor:
        """Takes an Adam step on the weights."""
        norms = ops.sqrt(ops.where(present, ops.diagonal(rows.gramian), 0.0))
        rates = self._relative_rates(observation.losses, present)
        targets = mean(norms, present) * ops.power(rates, float(self.alpha))
        # The derivative of |w n - target| by w, where n = norms / w is the
        # length of the gradient without its weight.
        signs = ops.sign(norms - targets)
        gradient = signs * norms * rows.scale / observation.weights
        self.descend(self.raw, gradient, present)
        return ops.convert_to_tensor(self.raw)

    def _relative_rates(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns `l / l(0)` divided by its mean over the tasks."""
        losses = ops.maximum(losses, _LEAST)
        initial = ops.convert_to_tensor(self.initial)
        is_first = ops.logical_and(present, initial == 0)
        initial = ops.where(is_first, losses, initial)
        self.initial.assign(initial)
        logs = ops.log(losses) - ops.log(ops.maximum(initial, _LEAST))
        return count(present) * softmax(logs, present)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the learned weights."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
        }
