"""JSON of TensorFlow Serving's REST API: into arrays and back."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from examples.serving._server._refusal import invalid
from examples.serving._server._servable import Arrays

_NUMBERS = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}


def parse(body: bytes) -> dict[str, Any]:
    """Returns the object that a request holds.

    Raises:
        Refusal: If it is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise invalid(f"JSON Parse error: {problem}") from problem
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {_short(content)} Is not object")
    if not isinstance(content.get("signature_name", ""), str):
        raise invalid("'signature_name' key must be a string value.")
    if ("instances" in content) == ("inputs" in content):
        raise invalid(
            "expecting one of 'inputs' or 'instances' keys, and only one."
        )
    return content


def inputs(content: Mapping[str, Any], infos: Mapping[str, Any]) -> Arrays:
    """Returns the inputs of a request, whether in rows or in columns.

    Args:
        content: What `parse` returned.
        infos: The `TensorInfo` of every input of the signature.

    Raises:
        Refusal: If it does not fit the signature.
    """
    if "instances" in content:
        columns = _columns(content["instances"], list(infos))
    else:
        columns = content["inputs"]
        if not _has_names(columns):
            columns = {_only(list(infos), "inputs"): columns}
    if set(columns) != set(infos):
        raise invalid(
            f"input names do not match the signature: {sorted(columns)} "
            f"instead of {sorted(infos)}."
        )
    return {
        name: _array(name, value, tf.as_dtype(infos[name].dtype))
        for name, value in columns.items()
    }


def outputs(arrays: Mapping[str, NDArray[Any]], in_rows: bool) -> str:
    """Returns the JSON of an answer, in the form of its request.

    A single output is without its name.

    Raises:
        Refusal: If rows are wanted of outputs that have not equally many.
    """
    if not in_rows:
        values: Any = {name: _nested(name, a) for name, a in arrays.items()}
        if len(values) == 1:
            values = next(iter(values.values()))
        return json.dumps({"outputs": values})
    sizes = {name: a.shape[0] if a.ndim else None for name, a in arrays.items()}
    if len({*sizes.values()}) > 1 or None in sizes.values():
        raise invalid(f"outputs have inconsistent batch sizes: {sizes}.")
    columns = [_nested(name, a) for name, a in arrays.items()]
    if len(columns) == 1:
        return json.dumps({"predictions": columns[0]})
    rows = zip(*columns, strict=True)
    named = [dict(zip(arrays, row, strict=True)) for row in rows]
    return json.dumps({"predictions": named})


def _columns(instances: Any, names: list[str]) -> dict[str, Any]:
    """Returns `{input: its values, a row each}`."""
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be a list/array.")
    if not instances:
        raise invalid("No values in 'instances' array.")
    if not _has_names(instances[0]):
        if any(map(_has_names, instances)):
            raise invalid("'instances' mixes objects with other values.")
        return {_only(names, "instances"): instances}
    for number, instance in enumerate(instances):
        if not _has_names(instance) or set(instance) != set(names):
            found = sorted(instance) if _has_names(instance) else instance
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. It "
                f"must be an object with the keys {sorted(names)}, but is "
                f"{_short(found)}."
            )
    return {name: [instance[name] for instance in instances] for name in names}


def _array(name: str, value: Any, dtype: tf.DType) -> NDArray[Any]:
    try:
        leaves = np.array(value, dtype=object)
        kinds = {type(leaf) for leaf in leaves.flat}
    except (RuntimeError, ValueError) as problem:  # nested too deep
        raise invalid(f"input '{name}': {problem}") from problem
    if list in kinds:
        raise invalid(
            f"input '{name}' is ragged: lists at one level must be of one size."
        )
    if dtype == tf.string:
        flat = [_bytes(name, leaf) for leaf in leaves.flat]
        return np.array(flat, dtype=object).reshape(leaves.shape)
    wanted = np.dtype(dtype.as_numpy_dtype)
    allowed = _NUMBERS.get(wanted.kind, (int, float))
    for leaf in leaves.flat:
        if type(leaf) not in allowed:
            raise invalid(
                f"input '{name}': JSON Value: {_short(leaf)} is not of "
                f"expected type: {dtype.name}"
            )
    try:
        with np.errstate(over="raise"):
            return leaves.astype(wanted)
    except (OverflowError, FloatingPointError) as problem:
        raise invalid(
            f"input '{name}' has a number out of the range of {dtype.name}."
        ) from problem


def _bytes(name: str, leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode()
    if not _is_base64(leaf):
        raise invalid(
            f"input '{name}': JSON Value: {_short(leaf)} is neither a string "
            'nor an object {"b64": string}.'
        )
    try:
        return base64.b64decode(leaf["b64"], validate=True)
    except (binascii.Error, ValueError) as problem:
        raise invalid(
            f"input '{name}': Unable to base64 decode: {problem}."
        ) from problem


def _nested(name: str, array: NDArray[Any]) -> Any:
    if array.dtype.kind in "OS":
        texts = [_text(name, value) for value in array.flat]
        return np.array(texts, dtype=object).reshape(array.shape).tolist()
    if array.dtype == np.float32:
        # Else 0.2 would be written 0.20000000298023224.
        array = array.astype("U32").astype(np.float64)
    return array.tolist()


def _text(name: str, value: bytes) -> Any:
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode(errors="replace")


def _has_names(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and [*value] == ["b64"]
        and isinstance(value["b64"], str)
    )


def _only(names: list[str], key: str) -> str:
    if len(names) != 1:
        raise invalid(
            f"'{key}' has no names, but the signature has several inputs: "
            f"{sorted(names)}."
        )
    return names[0]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
