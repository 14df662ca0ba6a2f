"""GLS: the geometric mean of the losses is minimised."""

from typing import Any

from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.weightings._base import Weighting
from keras_selfaux.weightings._present import mean

# A loss that is not greater counts as this; logarithms need positive ones.
_LEAST = 1e-8


@register
class GeometricLoss(Weighting):
    """Minimises the geometric mean of the losses instead of their sum.

    The gradient of K times the mean gives loss l the weight `L / l`, with L
    the geometric mean itself, so that what counts is by how much of itself
    each loss falls. Choose it for losses on different scales that are
    positive; one that nears 0 takes over. Losses of at most 1e-8 count as
    1e-8, and weights stay between 1e-4 and 1e4.

    Reference: Chennupati, Sistu, Yogamani, Rawashdeh, *MultiNet++:
    Multi-Stream Feature Aggregation and Geometric Loss Strategy for
    Multi-Task Learning*, 2019 (arXiv 1904.08492); times the number K of
    losses.

    Args:
        **kwargs: `by` and `normalize`; see `Weighting`.

    Example:

    >>> model.compile("adam", loss="mse", weighting="geometric_loss")
    """

    is_momentary = True
    bounds = (1e-4, 1e4)

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "geometric_loss")
        super().__init__(**kwargs)

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the geometric mean divided by each loss."""
        logs = ops.log(ops.maximum(losses, _LEAST))
        weights = ops.exp(mean(logs, present) - logs)
        return ops.where(present, weights, 0.0)
