"""N `Dense` layers as one product."""

from keras import ops

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._table import AnyTable, PerSample
from keras_selfaux._stacking._products import (
    fan_out_matmul,
    matmul_per_sample,
)
from keras_selfaux._types import Tensor


class StackedDense(StackedLayer):
    """N `Dense` layers."""

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        kernel = table.arrange(self, "kernel")
        # A convolution's kernel has axes of length 1 before its channels.
        leading = ops.shape(kernel)[:2]
        kernel = ops.reshape(kernel, (*leading, *kernel.shape[-2:]))
        if isinstance(table, PerSample):
            outputs = matmul_per_sample(inputs, kernel)
        else:
            outputs = fan_out_matmul(inputs, kernel)
        if self.has_weight("bias"):
            rank = len(outputs.shape)
            outputs = outputs + self.aligned("bias", table, rank)
        return self.template.activation(outputs)
