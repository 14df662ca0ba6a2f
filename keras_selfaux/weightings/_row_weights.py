"""`RowWeights`: the base of weightings that learn from the tasks' gradients."""

from collections.abc import Sequence
from typing import Any, cast

from keras import ops

from keras_selfaux._checks import error
from keras_selfaux._rows import Rows
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation, Weighting
from keras_selfaux.weightings._present import total


class RowWeights(Weighting):
    """Learns weights that always sum to the number of tasks.

    A subclass implements `proposed`. Tasks without labels in a batch, and
    those whose gradient is not finite, keep their weights; what the others
    sum to stays as it is.
    """

    needs_rows = True
    bounds = (1e-3, 1e3)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.by != "task" or self.normalize is not None:
            raise error(
                f"Weighting {self.name!r} learns from one gradient per task, "
                "and keeps the sum of its weights: it has neither a weight "
                "of its own for every edge nor another normalisation.",
                received=f"by={self.by!r}, normalize={self.normalize!r}",
                remedy="Leave both out.",
            )

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the weights."""
        self.raw = self.add_state("raw", (len(units),), 1.0)

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the learned weights."""
        return ops.convert_to_tensor(self.raw)

    def proposed(
        self, observation: Observation, rows: Rows, present: Tensor
    ) -> Tensor:
        """Returns new weights before they are scaled, shape `(K,)`.

        Args:
            observation: What a training step tells.
            rows: Its rows, which may hold NaN where not present.
            present: Tensor of shape `(K,)`, bool: which tasks to look at.
        """
        raise NotImplementedError

    def learn(self, observation: Observation) -> None:
        """Takes over new weights, at least the least and scaled to the sum."""
        rows = cast("Rows", observation.rows)
        is_finite = ops.isfinite(ops.diagonal(rows.gramian))
        present = ops.logical_and(observation.present, is_finite)
        old = ops.copy(ops.convert_to_tensor(self.raw))
        new = self.proposed(observation, rows, present)
        new = ops.maximum(new, self.bounds[0])
        scale = ops.divide_no_nan(total(old, present), total(new, present))
        self.raw.assign(ops.where(present, new * scale, old))
