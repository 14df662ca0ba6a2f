"""The products that stacked layers are made of."""

from typing import Any

from keras import ops

from keras_selfaux._types import Layer, Tensor


def fan_out(inputs: Tensor, count: int) -> Tensor:
    """Repeats each of G inputs `count` times: `(G * count, batch, ...)`."""
    return inputs if count == 1 else ops.repeat(inputs, count, axis=0)


def fold(layer: Layer, inputs: Tensor, **kwargs: Any) -> Tensor:
    """Runs a layer without weights on all nodes as if they were samples."""
    shape = ops.shape(inputs)
    outputs = layer(ops.reshape(inputs, (-1, *shape[2:])), **kwargs)
    return ops.reshape(outputs, (*shape[:2], *ops.shape(outputs)[1:]))


def fan_out_matmul(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Multiplies each of G inputs by its own K kernels in one product.

    Args:
        inputs: Tensor of shape `(G, batch, ..., C)`.
        kernel: Tensor of shape `(G, K, C, D)`.

    Returns:
        Tensor of shape `(G * K, batch, ..., D)`.
    """
    groups, fan, channels, units = kernel.shape
    middle = ops.shape(inputs)[1:-1]
    # Reshaping, not slicing: the gradient of a slice pads with zeros.
    if groups == 1 and fan == 1:  # a plain product beats a batch of one
        rows = ops.reshape(inputs, (-1, channels))
        outputs = ops.matmul(rows, ops.reshape(kernel, (channels, units)))
    elif groups == 1 and units >= channels:
        # Broadcasting moves nothing; its gradient sums K tensors (M, C),
        # which are no larger than the K results (M, D).
        rows = ops.reshape(inputs, (1, -1, channels))
        outputs = ops.matmul(rows, ops.reshape(kernel, (fan, channels, units)))
    elif fan == 1:
        rows = ops.reshape(inputs, (groups, -1, channels))
        outputs = ops.matmul(
            rows, ops.reshape(kernel, (groups, channels, units))
        )
    else:
        outputs = _wide_matmul(inputs, kernel)
    return ops.reshape(outputs, (groups * fan, *middle, units))


def matmul_per_sample(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Multiplies each of G samples by a kernel of its own.

    Args:
        inputs: Tensor of shape `(G, 1, ..., C)`.
        kernel: Tensor of shape `(G, 1, C, D)`.

    Returns:
        Tensor of shape `(G, 1, ..., D)`.
    """
    channels, units = kernel.shape[-2:]
    if len(inputs.shape) == 3:  # a row each: no product of matrices pays
        return ops.sum(inputs[..., None] * kernel, axis=-2)
    shape = ops.shape(inputs)
    positions = ops.reshape(inputs, (shape[0], -1, channels))
    outputs = ops.matmul(positions, kernel[:, 0])
    return ops.reshape(outputs, (*shape[:-1], units))


def _wide_matmul(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Sets the K kernels of an input side by side in one wide matrix."""
    groups, fan, channels, units = kernel.shape
    wide = ops.transpose(kernel, (0, 2, 1, 3))
    if groups == 1:
        rows = ops.reshape(inputs, (-1, channels))
        wide = ops.reshape(wide, (channels, fan * units))
    else:
        rows = ops.reshape(inputs, (groups, -1, channels))
        wide = ops.reshape(wide, (groups, channels, fan * units))
    outputs = ops.reshape(ops.matmul(rows, wide), (groups, -1, fan, units))
    return ops.transpose(outputs, (0, 2, 1, 3))
