"""N `LayerNormalization` layers: one normalisation, N scales and offsets."""

from keras import ops

from keras_selfaux._stacking._kinds._normalized import (
    StackedNormalization,
    in_float32,
)
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._types import Layer, Tensor


class StackedLayerNormalization(StackedNormalization):
    """N `LayerNormalization` layers over the last axis."""

    @staticmethod
    def obstacle(layer: Layer) -> str | None:
        if layer.rms_scaling:
            return "rms_scaling"
        return StackedNormalization.obstacle(layer)

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        normalized = ops.layer_normalization(
            in_float32(inputs), axis=-1, epsilon=self.template.epsilon
        )
        outputs = self.scaled(normalized, table)
        return ops.cast(outputs, self.compute_dtype)
