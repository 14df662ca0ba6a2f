"""N `RMSNormalization` layers: one normalisation, N scales."""

from keras import ops

from keras_selfaux._stacking._kinds._normalized import (
    StackedNormalization,
    in_float32,
)
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._types import Tensor


class StackedRMSNormalization(StackedNormalization):
    """N `RMSNormalization` layers over the last axis."""

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        normalized = ops.rms_normalization(
            in_float32(inputs), axis=-1, epsilon=self.template.epsilon
        )
        outputs = self.scaled(normalized, table, scale="scale")
        return ops.cast(outputs, inputs.dtype)
