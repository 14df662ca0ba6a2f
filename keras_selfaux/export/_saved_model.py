"""A SavedModel as it lies on the disk, read without loading it."""

import os
import pathlib
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from keras_selfaux._checks import error

SERVING_TAG = "serve"
DEFAULT_SIGNATURE = "serving_default"


def read_meta_graph(path: str | os.PathLike[str]) -> Any:
    """Returns the `MetaGraphDef` that servers load.

    Args:
        path: The folder of the SavedModel.

    Raises:
        ValueError: If there is none, or it is damaged.
    """
    file = pathlib.Path(path) / "saved_model.pb"
    if not file.is_file():
        raise _unreadable(path, f"a folder without {file.name}")
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except DecodeError as problem:
        raise _unreadable(path, f"a damaged {file.name} ({problem})") from (
            problem
        )
    for meta_graph in saved_model.meta_graphs:
        if SERVING_TAG in meta_graph.meta_info_def.tags:
            return meta_graph
    raise _unreadable(path, f"a {file.name} without the tag {SERVING_TAG!r}")


def _unreadable(path: str | os.PathLike[str], received: str) -> ValueError:
    return error(
        f"'{os.fspath(path)}' must be the folder of a SavedModel.",
        received=received,
        remedy="Pass `base_path/<version>` as `write_servable` returned it.",
    )


def signature_definitions(meta_graph: Any) -> dict[str, Any]:
    """Returns `{name: SignatureDef}` of what clients can call."""
    return {
        name: definition
        for name, definition in sorted(meta_graph.signature_def.items())
        if not name.startswith("__")  # what TensorFlow keeps for itself
    }


def signature_specs(meta_graph: Any) -> dict[str, Any]:
    """Returns inputs and outputs of all signatures, as JSON has them.

    Returns:
        `{signature: {"inputs" or "outputs": {name: {"dtype", "shape"}}}}`,
        with `None` for sizes that may vary.
    """
    return {
        name: {
            "inputs": _specs(definition.inputs),
            "outputs": _specs(definition.outputs),
        }
        for name, definition in signature_definitions(meta_graph).items()
    }


def _specs(tensors: Any) -> dict[str, Any]:
    return {name: _spec(info) for name, info in sorted(tensors.items())}


def _spec(info: Any) -> dict[str, Any]:
    shape = tf.TensorShape(info.tensor_shape)
    return {
        "dtype": tf.DType(info.dtype).name,
        "shape": None if shape.rank is None else shape.as_list(),
    }


def signatures_alike(specs: dict[str, Any], name: str) -> list[str]:
    """Returns which signatures take what one takes, and give what it gives.

    Args:
        specs: As `signature_specs` returns them.
        name: The one that others are compared with. They may give less.
    """
    wanted = specs[name]
    return [
        other
        for other, ends in specs.items()
        if ends["inputs"] == wanted["inputs"]
        and ends["outputs"].items() <= wanted["outputs"].items()
    ]
