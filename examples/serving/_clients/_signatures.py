"""What a served model takes and gives, as its server describes it."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_selfaux._checks import error

Arrays = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What an input or output is.

    Args:
        dtype: Name of its TensorFlow dtype, such as `"float32"`.
        shape: Its sizes, `None` where any will do; `None` for any rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """Returns such as `float32 (?, 2)`."""
        return f"{self.dtype} {shape_text(self.shape)}"

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of arrays of it; `object` for strings."""
        return np.dtype(tf.as_dtype(self.dtype).as_numpy_dtype)


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, by name."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a version of a model can be asked."""

    version: int
    signatures: Mapping[str, Signature]

    def signature(self, name: str) -> Signature:
        """Returns a signature.

        Raises:
            ValueError: If there is none of that name.
        """
        _check_known("signature", name, self.signatures)
        return self.signatures[name]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """How a version is: `state` is `"AVAILABLE"` if it answers."""

    version: int
    state: str
    message: str


def from_proto(model_spec: Any, signatures: Any) -> Metadata:
    """Returns the metadata that a server's `SignatureDefMap` holds."""
    return Metadata(
        model_spec.version.value,
        {
            name: Signature(_tensors(proto.inputs), _tensors(proto.outputs))
            for name, proto in sorted(signatures.signature_def.items())
            # Of the loader's, which cannot be asked.
            if not name.startswith("__")
        },
    )


def check_tasks(tasks: Collection[str], signature: Signature) -> None:
    """Raises unless every task is an output of the signature."""
    for task in tasks:
        _check_known("task", task, signature.outputs)


def fitted(inputs: Mapping[str, Any], signature: Signature) -> Arrays:
    """Returns inputs in the dtypes that a signature wants.

    Args:
        inputs: `{name: array}`. What fits without loss of kind is converted,
            such as float64 to float32 and int64 to float32.
        signature: That of the model.

    Raises:
        ValueError: If names, dtypes or shapes do not fit.
    """
    if set(inputs) != set(signature.inputs):
        raise error(
            "The inputs must have the names that the signature has.",
            received=f"{sorted(inputs)} instead of {sorted(signature.inputs)}",
            remedy="Name them as --metadata shows.",
        )
    return {
        name: _fitted(name, np.asarray(value), signature.inputs[name])
        for name, value in inputs.items()
    }


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """Returns such as `(?, 2)`."""
    if shape is None:
        return "of any rank"
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: _tensor(info) for name, info in sorted(infos.items())}


def _tensor(info: Any) -> Tensor:
    shape = None
    if not info.tensor_shape.unknown_rank:
        sizes = (dim.size for dim in info.tensor_shape.dim)
        shape = tuple(None if size < 0 else size for size in sizes)
    return Tensor(tf.as_dtype(info.dtype).name, shape)


def _check_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise error(
            f"The model has no {kind} of that name.",
            received=f"{kind} {name!r}",
            remedy=f"Pass one of {sorted(known)}.",
        )


def _fitted(name: str, array: NDArray[Any], wanted: Tensor) -> NDArray[Any]:
    is_text = array.dtype.kind in "OSU"
    if is_text != (wanted.dtype == "string") or not (
        is_text or np.can_cast(array.dtype, wanted.numpy_dtype, "same_kind")
    ):
        raise error(
            f"Input '{name}' must be {wanted.dtype}.",
            received=f"dtype {array.dtype}",
            remedy="Pass values of that kind.",
        )
    if wanted.shape is not None and (
        array.ndim != len(wanted.shape)
        or any(
            size not in (None, found)
            for found, size in zip(array.shape, wanted.shape, strict=True)
        )
    ):
        raise error(
            f"Input '{name}' must be of shape {shape_text(wanted.shape)}.",
            received=f"shape {shape_text(array.shape)}",
            remedy="Pass a batch, one row per example.",
        )
    fitted = array.astype(wanted.numpy_dtype)
    if fitted.dtype.kind in "iu" and not np.array_equal(fitted, array):
        raise error(
            f"Input '{name}' has a number out of the range of {wanted.dtype}.",
            received=f"numbers from {array.min()} to {array.max()}",
            remedy="Pass smaller ones.",
        )
    return fitted
