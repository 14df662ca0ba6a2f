"""Uncertainty weighting: the noise of each task is learned."""

from typing import Any

from keras_selfaux._registry import register
from keras_selfaux.weightings._log_weights import LogWeights


@register
class Uncertainty(LogWeights):
    """Learns how noisy each task is, and weighs noisy ones less.

    A log variance s of each loss l is learned by descending
    `exp(-s) l / 2 + s / 2`; the weight is `exp(-s) / 2`. It starts at 1 and
    tends to `1 / (2 l)`, so that tasks come to count alike whatever the
    units of their losses. Choose it for losses on different scales that are
    not negative. Weights stay between 1e-4 and 1e4.

    Reference: Kendall, Gal, Cipolla, *Multi-Task Learning Using Uncertainty
    to Weigh Losses for Scene Geometry and Semantics*, 2018 (arXiv
    1705.07115), Eq. 7, with the factor 1/2 for every kind of loss.

    Args:
        learning_rate: Of the Adam optimizer of s. Defaults to `1e-3`.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `learning_rate` is not positive.

    Example:

    >>> model.compile("adam", loss="mse", weighting="uncertainty")
    """

    # With s = -log(2 ω), exp(-s) l / 2 + s / 2 is ω l - log(2 ω) / 2.
    product = 0.5

    def __init__(self, learning_rate: float = 1e-3, **kwargs: Any) -> None:
        kwargs.setdefault("name", "uncertainty")
        super().__init__(learning_rate, **kwargs)
