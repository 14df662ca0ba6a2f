"""N `GroupNormalization` layers: one normalisation, N scales and offsets."""

import keras
from keras import ops

from keras_selfaux._stacking._kinds._normalized import (
    StackedNormalization,
    in_float32,
)
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._products import fold
from keras_selfaux._types import Shape, Tensor


class StackedGroupNormalization(StackedNormalization):
    """N `GroupNormalization` layers over the last axis."""

    def build(self, input_shape: Shape) -> None:
        """Creates the weights, and a layer without any that normalises."""
        super().build(input_shape)
        self.normalize = keras.layers.GroupNormalization(
            groups=self.template.groups,
            epsilon=self.template.epsilon,
            center=False,
            scale=False,
            # The weights come after it, in the precision it computes in.
            dtype=keras.backend.result_type(self.compute_dtype, "float32"),
        )
        self.normalize.build(input_shape)

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        normalized = fold(self.normalize, in_float32(inputs))
        outputs = self.scaled(normalized, table)
        return ops.cast(outputs, self.compute_dtype)
