"""N `PReLU` layers as one."""

from keras import ops

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._table import AnyTable
from keras_selfaux._stacking._products import fan_out
from keras_selfaux._types import Tensor


class StackedPReLU(StackedLayer):
    """N `PReLU` layers."""

    def check_fits(self, inputs: Tensor) -> None:
        """Raises unless inputs have as many features as there are slopes."""
        # A slope that is shared along the last axis fits any length.
        last = len(inputs.shape) - 2
        if last not in (self.template.shared_axes or ()):
            super().check_fits(inputs)

    def call(self, inputs: Tensor, table: AnyTable) -> Tensor:
        """Applies the modules of row g of `table` to `inputs[g]`."""
        alpha = self.aligned("alpha", table, len(inputs.shape))
        positive = fan_out(ops.relu(inputs), table.width)
        negative = fan_out(ops.relu(-inputs), table.width)
        return positive - alpha * negative
