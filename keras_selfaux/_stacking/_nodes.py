"""`Nodes`: several tensors of one shape, stacked or listed as needed."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._types import Shape, Tensor


class Nodes:
    """N tensors of one shape, as one tensor or as a list.

    Either form is made from the other the first time it is asked for, so
    that a loop never pays for stacking nor a batched product for slicing.

    Args:
        stacked: Tensor of shape `(N, batch, ...)`.
        items: N tensors of shape `(batch, ...)`; used where `stacked` is
            not given.
    """

    def __init__(
        self,
        stacked: Tensor | None = None,
        items: Sequence[Tensor] | None = None,
    ) -> None:
        self._stacked: Any = stacked
        self._items: Any = None if items is None else list(items)

    def __len__(self) -> int:
        if self._items is not None:
            return len(self._items)
        return int(self._stacked.shape[0])

    def __getitem__(self, index: int) -> Tensor:
        if self._items is None:
            self._items = ops.unstack(self._stacked, num=len(self))
        return self._items[index]

    @property
    def stacked(self) -> Tensor:
        """All nodes as one tensor of shape `(N, batch, ...)`."""
        if self._stacked is None:
            first = self._items[0]
            if len(self) > 1 and all(item is first for item in self._items):
                shape = (len(self), *ops.shape(first))
                self._stacked = ops.broadcast_to(first[None], shape)
            else:
                self._stacked = ops.stack(self._items)
        return self._stacked

    @property
    def shape(self) -> Shape:
        """The shape of one node, `(batch, ...)`."""
        if self._stacked is not None:
            return tuple(self._stacked.shape[1:])
        return tuple(self._items[0].shape)

    @property
    def mask(self) -> Tensor | None:
        """Keras's masks of the nodes, stacked, or `None` without any."""
        masks = [
            getattr(item, "_keras_mask", None) for item in self._items or ()
        ]
        known = [mask for mask in masks if mask is not None]
        if not known:
            return None
        return ops.stack(
            [ops.ones_like(known[0]) if m is None else m for m in masks]
        )

    def take(self, indices: Sequence[int]) -> "Nodes":
        """Returns the nodes at `indices`, in their order."""
        indices = list(indices)
        if indices == list(range(len(self))):
            return self
        if self._items is not None:
            return Nodes(items=[self._items[i] for i in indices])
        return Nodes(stacked=take_static(self._stacked, indices))


def take_static(values: Tensor, indices: Sequence[int]) -> Tensor:
    """Returns `values[indices]` along the leading axis, as cheaply as it goes.

    A gather's gradient is a scatter, which XLA runs row by row on a CPU;
    the common cases (everything in order, a run in order) need neither.
    """
    indices = list(indices)
    first, last = indices[0], indices[-1] + 1
    if indices == list(range(first, last)):
        whole = first == 0 and last == values.shape[0]
        return values if whole else values[first:last]
    return ops.take(values, indices, axis=0)
