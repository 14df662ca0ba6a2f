"""`run_in_c_api`: a SavedModel's answers without TensorFlow's Python.

Serving programs of other languages reach a SavedModel through TensorFlow's C
API; whatever its Python package brings along, such as custom gradients or
objects that Python keeps alive, is missing there. The shared library of the C
API comes with that package. A process that has imported TensorFlow would get a
second copy of it from that file, with its own threads and registries, and which
copy answers could not be told. So the library is loaded by a process of its
own that sees the standard library alone: `_c_session`.
"""

import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2

from keras_selfaux._checks import error
from keras_selfaux._files import Path
from keras_selfaux.export import _c_session
from keras_selfaux.export._c_session import STRING, WireTensor
from keras_selfaux.export._saved_model import (
    SERVING_TAG,
    read_meta_graph,
    signature_definitions,
)
from keras_selfaux.export._warmup import Request

Arrays = Mapping[str, NDArray[Any]]

_Signatures = dict[str, meta_graph_pb2.SignatureDef]

_LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
_LENGTH_OF_REPORT = 2000  # characters


def run_in_c_api(
    path: Path,
    requests: Sequence[Request],
    *,
    timeout: float = 600.0,
    library: Path | None = None,
) -> list[dict[str, NDArray[Any]]]:
    """Returns what a SavedModel answers through TensorFlow's C API.

    It runs on the CPU.

    Args:
        path: The folder of the SavedModel, which must have the tag `serve`.
        requests: Pairs `(signature, {input: array})`. Arrays have the dtypes
            of the signature; strings are arrays of `bytes` objects.
        timeout: After how many seconds to give up. Defaults to 600.
        library: TensorFlow's shared library. Defaults to `None`: the one in
            the installed package.

    Returns:
        `{output: array}` for every request, in their order.

    Raises:
        FileNotFoundError: If there is no library.
        ValueError: If `path` is no SavedModel, or a request does not fit it.
        RuntimeError: If TensorFlow reports an error, with its words, or its
            process dies.
        TimeoutError: If there is no answer in time.
    """
    library = _library() if library is None else pathlib.Path(library)
    if not library.is_file():
        raise FileNotFoundError(
            "There is no shared library of TensorFlow's C API. Received: "
            f"library={str(library)!r}. Pass the path of `{_LIBRARIES[0]}`, "
            "which TensorFlow's packages for Linux have."
        )
    signatures = signature_definitions(read_meta_graph(path))
    plan: list[dict[str, list[str]]] = []
    values: list[WireTensor] = []
    for name, arrays in requests:
        signature = _signature(signatures, name)
        values += _values(name, signature, arrays)
        plan.append(
            {
                "inputs": [signature.inputs[key].name for key in arrays],
                "outputs": [info.name for info in signature.outputs.values()],
            }
        )
    header = {
        "saved_model": os.fspath(path),
        "tags": [SERVING_TAG],
        "requests": plan,
    }
    answer = _ask(library, _c_session.pack(header, values), timeout)
    report, tensors = _c_session.unpack(answer)
    if "error" in report:
        where = "loading it"
        if (number := report["request"]) is not None:
            where = f"request {number}, to {requests[number][0]!r}"
        raise RuntimeError(
            "TensorFlow's C API cannot run this SavedModel. Received: "
            f"path={os.fspath(path)!r}, and an error at {where}. "
            f"TensorFlow says: {report['error']}"
        )
    found = iter(tensors)
    return [
        {key: _array(next(found)) for key in signatures[name].outputs}
        for name, _ in requests
    ]


def _library() -> pathlib.Path:
    folder = pathlib.Path(tf.__file__).parent
    known = [folder / name for name in _LIBRARIES]
    return next((path for path in known if path.is_file()), known[0])


def _signature(
    signatures: _Signatures, name: str
) -> meta_graph_pb2.SignatureDef:
    if name not in signatures:
        raise error(
            "`requests` must name signatures of the SavedModel.",
            received=f"signature {name!r}",
            remedy=f"Use one of {list(signatures)}.",
        )
    return signatures[name]


def _values(
    name: str, signature: meta_graph_pb2.SignatureDef, arrays: Arrays
) -> list[WireTensor]:
    wanted = {k: tf.as_dtype(v.dtype) for k, v in signature.inputs.items()}
    if arrays.keys() != wanted.keys():
        raise error(
            f"A request to {name!r} must have one array per input.",
            received=f"inputs {sorted(arrays)}",
            remedy=f"Pass the inputs {sorted(wanted)}.",
        )
    values = []
    for key, given in arrays.items():
        array, dtype = np.asarray(given), wanted[key]
        if array.dtype != dtype.as_numpy_dtype:
            raise error(
                f"Input {key!r} of {name!r} must be an array of {dtype.name}.",
                received=f"dtype {array.dtype}",
                remedy="Convert it; strings are objects of type `bytes`.",
            )
        parts = [array.tobytes()]
        if dtype == tf.string:
            parts = array.ravel().tolist()
            _check_bytes(key, parts)
        number = dtype.as_datatype_enum
        values.append(WireTensor(number, list(array.shape), parts))
    return values


def _check_bytes(key: str, parts: Sequence[Any]) -> None:
    for part in parts:
        if not isinstance(part, bytes):
            raise error(
                f"Input {key!r} must be an array of `bytes` objects.",
                received=f"a {type(part).__name__}",
                remedy="Encode texts, say with `text.encode()`.",
            )


def _ask(library: pathlib.Path, message: bytes, timeout: float) -> bytes:
    """Returns what the process that loads the library answers."""
    # The model is small beside what else may be on a GPU.
    environment = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    try:
        done = subprocess.run(
            # Isolated and without site packages: no import can find more
            # than the standard library.
            [sys.executable, "-I", "-S", _c_session.__file__, str(library)],
            input=message,
            capture_output=True,
            timeout=timeout,
            env=os.environ | environment,
            check=False,
        )
    except subprocess.TimeoutExpired as cause:
        raise TimeoutError(
            "TensorFlow's C API gave no answer in time. Received: "
            f"timeout={timeout!r} seconds. Pass more, or fewer requests."
        ) from cause
    if done.returncode:
        report = done.stderr.decode("utf-8", "replace")[-_LENGTH_OF_REPORT:]
        raise RuntimeError(
            "The process that runs TensorFlow's C API died. Received: exit "
            f"status {done.returncode}. Its last words: {report}"
        )
    return done.stdout


def _array(tensor: WireTensor) -> NDArray[Any]:
    if tensor.dtype == STRING:
        array = np.empty(len(tensor.parts), object)
        array[:] = tensor.parts
    else:
        dtype = tf.as_dtype(tensor.dtype).as_numpy_dtype
        array = np.frombuffer(tensor.parts[0], dtype).copy()
    return array.reshape(tensor.shape)
