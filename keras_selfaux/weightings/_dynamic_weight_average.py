"""DWA: weights follow how fast each loss fell in the last two epochs."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation, Weighting
from keras_selfaux.weightings._present import count, softmax

# A mean that is not greater counts as this; ratios need positive ones.
_LEAST = 1e-8


@register
class DynamicWeightAverage(Weighting):
    """Gives more weight to tasks whose losses fall slowly.

    The weights of an epoch are K times the softmax of the ratios `r /
    temperature`, where r is a loss's mean over the last epoch divided by
    that over the epoch before, both without weights. They are 1 in the
    first two epochs, and lie between 0 and the number K of tasks. Choose it
    as a cheap balance of learning speeds: it costs nothing per step. Means
    of at most 1e-8 count as 1e-8. A task without labels in an epoch keeps
    its earlier means.

    Reference: Liu, Johns, Davison, *End-to-End Multi-Task Learning with
    Attention*, 2019 (arXiv 1803.10704), Eq. 7.

    Args:
        temperature: The higher, the more alike the weights. Defaults to 2.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `temperature` is not positive.

    Example:

    >>> model.compile("adam", loss="mse", weighting="dwa")
    """

    def __init__(self, temperature: float = 2.0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "dynamic_weight_average")
        super().__init__(**kwargs)
        check_positive("temperature", temperature)
        self.temperature = temperature

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the means of this epoch and of the last two."""
        shape = (len(units),)
        self.mean = self.add_state("mean", shape)
        self.labels = self.add_state("labels", shape)
        self.last = self.add_state("last", shape)
        self.before_last = self.add_state("before_last", shape)
        self.epochs = self.add_state("epochs", shape)

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the weights of this epoch."""
        known = ops.convert_to_tensor(self.epochs) >= 2
        last = ops.maximum(self.last, _LEAST)
        ratio = last / ops.maximum(self.before_last, _LEAST)
        logits = ops.minimum(ratio / self.temperature, 1e30)
        weights = count(known) * softmax(logits, known)
        return ops.where(known, weights, 1.0)

    def learn(self, observation: Observation) -> None:
        """Takes the losses into the means of this epoch."""
        counts = ops.where(observation.present, observation.counts, 0.0)
        labels = self.labels + counts
        # A running mean: unlike a sum, it neither overflows nor stops
        # growing. The clip keeps even differences finite.
        losses = ops.clip(observation.losses, -1e30, 1e30)
        share = ops.divide_no_nan(counts, labels)
        self.mean.assign(self.mean + (losses - self.mean) * share)
        self.labels.assign(labels)

    def on_epoch_end(self) -> None:
        """Moves the means on by an epoch."""
        seen = ops.convert_to_tensor(self.labels) > 0
        self.before_last.assign(ops.where(seen, self.last, self.before_last))
        self.last.assign(ops.where(seen, self.mean, self.last))
        epochs = self.epochs + ops.cast(seen, "float32")
        self.epochs.assign(ops.minimum(epochs, 2.0))
        for variable in (self.mean, self.labels):
            variable.assign(ops.zeros_like(variable))

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the means."""
        return {**super().get_config(), "temperature": self.temperature}
