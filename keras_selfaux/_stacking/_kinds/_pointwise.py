"""N convolutions with kernels of size 1: dense layers at every point."""

from collections.abc import Sequence

from keras_selfaux._stacking._kinds._dense import StackedDense
from keras_selfaux._types import Layer


class StackedPointwise(StackedDense):
    """N convolutions with kernels of size 1."""

    @staticmethod
    def obstacle(layer: Layer) -> str | None:
        if layer.data_format != "channels_last":
            return f"data_format={layer.data_format!r}"
        if any(size != 1 for size in layer.kernel_size):
            return f"kernel {_by(layer.kernel_size)}"
        if any(stride != 1 for stride in layer.strides):
            return f"strides {_by(layer.strides)}"
        return None if layer.groups == 1 else f"groups={layer.groups}"


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
