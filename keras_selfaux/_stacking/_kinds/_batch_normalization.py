"""N `BatchNormalization` layers, with moving statistics of each."""

import numpy as np
from keras import ops

from keras_selfaux._stacking._kinds._normalized import (
    StackedNormalization,
    in_float32,
)
from keras_selfaux._stacking._kinds._table import Beside, Round, Table
from keras_selfaux._stacking._nodes import take_static
from keras_selfaux._stacking._products import fan_out
from keras_selfaux._types import Layer, Tensor


class StackedBatchNormalization(StackedNormalization):
    """N `BatchNormalization` layers over the last axis.

    The moments of a batch are computed once for all modules that read it.
    Every reading moves a module's statistics, in the order of the results.
    """

    treats_samples_alone = False

    @staticmethod
    def obstacle(layer: Layer) -> str | None:
        return (
            "renorm" if layer.renorm else StackedNormalization.obstacle(layer)
        )

    def call(
        self,
        inputs: Tensor,
        table: Table | Beside,
        training: bool | None = None,
    ) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        inputs = in_float32(inputs)
        rank, channels = len(inputs.shape), inputs.shape[-1]
        if training and self.trainable:
            mean, variance = ops.moments(
                inputs,
                axes=list(range(1, rank - 1)),
                synchronized=self.template.synchronized,
            )
            for reading in table.rounds(self):
                self._move(reading, "moving_mean", mean)
                self._move(reading, "moving_variance", variance)
            shape = (-1, *(1,) * (rank - 2), channels)
            mean, variance = (
                fan_out(ops.reshape(moment, shape), table.width)
                for moment in (mean, variance)
            )
        else:
            mean, variance = (
                ops.cast(self.aligned(name, table, rank), inputs.dtype)
                for name in ("moving_mean", "moving_variance")
            )
        factor = ops.rsqrt(variance + self.template.epsilon)
        if self.has_weight("gamma"):
            gamma = self.aligned("gamma", table, rank)
            factor = factor * ops.cast(gamma, inputs.dtype)
        offset = -mean * factor
        if self.has_weight("beta"):
            beta = self.aligned("beta", table, rank)
            offset = offset + ops.cast(beta, inputs.dtype)
        outputs = fan_out(inputs, table.width) * factor + offset
        return ops.cast(outputs, self.compute_dtype)

    def _move(self, reading: Round, name: str, moments: Tensor) -> None:
        """Moves a statistic of the modules that read something."""
        variable = getattr(reading.layer, f"stacked_{name}")
        momentum = self.template.momentum
        old = ops.cast(variable, moments.dtype)
        found = take_static(moments, [row or 0 for row in reading.rows])
        new = old * momentum + found * (1.0 - momentum)
        if None in reading.rows:
            moved = np.array([[row is not None] for row in reading.rows])
            new = ops.where(moved, new, old)
        variable.assign(new)
