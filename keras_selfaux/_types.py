"""Honest aliases: Keras and TensorFlow ship no usable type information."""

from collections.abc import Mapping
from typing import Any, TypeVar

Tensor = Any
"""A backend tensor, a `keras.KerasTensor` or a NumPy array."""

Layer = Any
"""A `keras.layers.Layer`."""

Shape = tuple[int | None, ...]

Task = str
Edge = tuple[str, str]
"""A `(source, target)` pair of task names; primaries have source == target."""

_Value = TypeVar("_Value")
PerTask = Mapping[Task, _Value]
