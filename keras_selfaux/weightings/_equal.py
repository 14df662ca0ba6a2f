"""Equal weights."""

from typing import Any

from keras import ops

from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.weightings._base import Weighting


@register
class Equal(Weighting):
    """Gives every loss the weight 1: the sum of all losses is minimised.

    Args:
        **kwargs: `normalize`; see `Weighting`.

    Example:

    >>> model.compile("adam", loss="mse", weighting="equal")
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", "equal")
        super().__init__(**kwargs)

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns ones."""
        return ops.ones_like(losses)
