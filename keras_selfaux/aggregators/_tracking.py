"""`TrackingAggregator`: keeps a moving average of every row."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Aggregator


class TrackingAggregator(Aggregator):
    """An aggregator of the rows' moving averages.

    They take as much memory as the shared variables, once for each task.
    What a row had before it was first seen does not count: the first
    average of a row is that row.

    Attributes:
        steps: How often each row was seen: variable of shape `(K,)`.
        mass: What the weights of the rows seen sum to: `(K,)`.
        averages: One variable for each of `Rows.tensors`.
    """

    keeps_rows = True
    steps: Any
    mass: Any
    averages: list[Any]

    def build_rows(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Creates the averages."""
        self.steps = self.add_state("steps", (self.num_rows,))
        self.mass = self.add_state("mass", (self.num_rows,))
        self.averages = [
            self.add_state(f"average_{number}", tuple(shape))
            for number, shape in enumerate(shapes)
        ]

    def track(
        self,
        tensors: Sequence[Tensor],
        moves: Tensor,
        rate: Callable[[Tensor], Tensor],
    ) -> list[Tensor]:
        """Moves the averages towards rows, and returns them.

        Args:
            tensors: As `Rows.tensors`.
            moves: Tensor of shape `(K,)`, bool: which averages to move.
            rate: Maps the number of a row's step, from 1 on, to the weight
                of the newest row, in (0, 1].
        """
        steps = self.steps + ops.cast(moves, "float32")
        newest = rate(ops.maximum(steps, 1.0))
        mass = newest + (1 - newest) * self.mass
        share = ops.where(moves, newest / mass, ops.zeros_like(mass))
        self.mass.assign(ops.where(moves, mass, self.mass))
        self.steps.assign(steps)
        return [
            _moved(average, tensor, share)
            for average, tensor in zip(self.averages, tensors, strict=True)
        ]


def _moved(average: Any, rows: Tensor, share: Tensor) -> Tensor:
    """Moves an average part of the way to the rows, where that is finite."""
    share = ops.reshape(share, (-1, *(1,) * (len(rows.shape) - 1)))
    value = (1 - share) * average + share * rows
    value = ops.where(ops.isfinite(value), value, average)
    average.assign(value)
    return value
