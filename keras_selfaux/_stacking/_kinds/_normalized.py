"""What normalisations have in common: an axis, a scale and an offset."""

import keras
from keras import ops

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._products import fan_out
from keras_selfaux._types import Layer, Tensor


class StackedNormalization(StackedLayer):
    """N layers that normalise along the last axis, then scale and shift.

    As in Keras, they compute in float32 at least, and cast once, at the end.
    """

    @staticmethod
    def obstacle(layer: Layer) -> str | None:
        return None if layer.axis in (-1, [-1]) else f"axis={layer.axis}"

    def scaled(
        self,
        normalized: Tensor,
        table: AnyTable,
        scale: str = "gamma",
        offset: str = "beta",
    ) -> Tensor:
        """Returns each input scaled and shifted by all modules that read it.

        Args:
            normalized: The inputs, normalised: `(G, batch, ...)`.
            table: Which modules read which input.
            scale: Name of the weight that scales, where the layers have it.
            offset: Name of the weight that shifts, where they have it.
        """
        outputs, rank = fan_out(normalized, table.width), len(normalized.shape)
        if self.has_weight(scale):
            weight = self.aligned(scale, table, rank)
            outputs = outputs * ops.cast(weight, outputs.dtype)
        if self.has_weight(offset):
            weight = self.aligned(offset, table, rank)
            outputs = outputs + ops.cast(weight, outputs.dtype)
        return outputs


def in_float32(values: Tensor) -> Tensor:
    """Casts values of lower precision to float32, others not at all."""
    return ops.cast(values, keras.backend.result_type(values.dtype, "float32"))
