"""N `EinsumDense` layers as one product."""

from keras import ops

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._products import fan_out
from keras_selfaux._types import Tensor


class StackedEinsumDense(StackedLayer):
    """N `EinsumDense` layers."""

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        inputs = fan_out(inputs, table.width)
        kernel = table.arrange(self, "kernel")
        kernel = ops.reshape(kernel, (-1, *kernel.shape[2:]))
        left, right, output = _operands(self.template.equation)
        stack = next(c for c in "nmklzyxw" if c not in left + right + output)
        outputs = ops.einsum(
            f"{stack}{left},{stack}{right}->{stack}{output}", inputs, kernel
        )
        if self.has_weight("bias"):
            rank = len(outputs.shape)
            outputs = outputs + self.aligned("bias", table, rank)
        if self.template.activation is not None:
            outputs = self.template.activation(outputs)
        return outputs


def _operands(equation: str) -> tuple[str, str, str]:
    inputs, output = equation.split("->")
    left, right = inputs.split(",")
    return left, right, output
