"""IMTL-L: all weighted losses are brought to the same size."""

from typing import Any

from keras_selfaux._registry import register
from keras_selfaux.weightings._log_weights import LogWeights


@register
class ImpartialLoss(LogWeights):
    """Learns weights that bring every weighted loss to 1.

    A scale s of each loss l is learned by descending `exp(s) l - s`; the
    weight is `exp(s)`. It starts at 1 and tends to `1 / l`. Choose it for
    losses on different scales that are not negative. It differs from
    `Uncertainty` in nothing but that its weights are twice as large in the
    end. Weights stay between 1e-4 and 1e4.

    Reference: Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang, *Towards
    Impartial Multi-task Learning*, ICLR 2021 (OpenReview IMPnRXEWpvr),
    there called IMTL-L.

    Args:
        learning_rate: Of the Adam optimizer of s. Defaults to `1e-3`.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `learning_rate` is not positive.

    Example:

    >>> model.compile("adam", loss="mse", weighting="impartial_loss")
    """

    product = 1.0

    def __init__(self, learning_rate: float = 1e-3, **kwargs: Any) -> None:
        kwargs.setdefault("name", "impartial_loss")
        super().__init__(learning_rate, **kwargs)
