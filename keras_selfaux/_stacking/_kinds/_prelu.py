"""N `PReLU` layers as one."""

from keras import ops

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._products import fan_out
from keras_selfaux._types import Tensor


class StackedPReLU(StackedLayer):
    """N `PReLU` layers."""

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        alpha = self.aligned("alpha", table, len(inputs.shape))
        positive = fan_out(ops.relu(inputs), table.width)
        negative = fan_out(ops.relu(-inputs), table.width)
        return positive - alpha * negative
