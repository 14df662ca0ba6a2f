"""All logs of a step as one tensor.

TensorFlow takes time to prepare a function that grows faster than the
square of the number of its results: 20 seconds for 300 of them. A hundred
tasks with two metrics each have as many.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_selfaux._types import Tensor


class PackedLogs:
    """Packs a dict of logs into few tensors, and unpacks it again.

    Scalars of float32 become one vector, anything else stays as it is.
    """

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._packed: list[str] = []

    def pack(self, logs: Any) -> Any:
        """Returns what holds the same as the logs; called while tracing."""
        if not isinstance(logs, dict):
            self._names = None
            return logs
        self._names = list(logs)
        self._packed = [name for name in logs if _is_packable(logs[name])]
        others = {k: v for k, v in logs.items() if k not in set(self._packed)}
        if not self._packed:
            return ops.zeros((0,)), others
        return ops.stack([logs[name] for name in self._packed]), others

    def unpack(self, packed: Any) -> Any:
        """Returns the logs that `pack` was given, in their order."""
        if self._names is None:
            return packed
        vector, others = packed
        values = ops.unstack(vector, num=len(self._packed))
        logs = {**others, **dict(zip(self._packed, values, strict=True))}
        return {name: logs[name] for name in self._names}

    def step(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Returns a step whose logs are packed."""

        def packed_step(data: Any) -> Any:
            return self.pack(function(data))

        return packed_step


def _is_packable(value: Tensor) -> bool:
    return (
        hasattr(value, "shape")
        and tuple(value.shape) == ()
        and getattr(value, "dtype", None) == "float32"
    )
