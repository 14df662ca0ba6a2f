"""Answers requests by a SavedModel through TensorFlow's C API.

A script for a process of its own: it imports the standard library alone, loads
the shared library that its one argument names, reads what to run from its
standard input and writes the answers to its standard output. `_c_api` starts
it and says why.

A message is the length of a JSON header in 8 bytes (little-endian), the header,
and the tensors' bytes. What to run has the header `{"saved_model": folder,
"tags": [...], "requests": [{"inputs": [...], "outputs": [...]}, ...]}`, with
names of tensors in the graph such as `"serve_inputs:0"`, and the tensors of all
inputs in this order. The answer has those of all outputs in this order or, if
TensorFlow reports an error, none and the header `{"error": text, "request":
number}` (`null`: the model could not be loaded).
"""

import contextlib
import ctypes
import functools
import itertools
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

STRING = 7
"""The number of TensorFlow's type of strings."""

_STRING_BYTES = 24  # The size of a `TF_TString`, whatever is in it.


class WireTensor(NamedTuple):
    """A tensor between processes: `parts` has one entry, or one per string."""

    dtype: int
    shape: list[int]
    parts: list[bytes]


def pack(header: dict[str, Any], tensors: Iterable[WireTensor]) -> bytes:
    """Returns a message."""
    tensors = list(tensors)
    described = [[t.dtype, t.shape, [*map(len, t.parts)]] for t in tensors]
    start = json.dumps({**header, "tensors": described}).encode()
    parts = [part for tensor in tensors for part in tensor.parts]
    return b"".join([len(start).to_bytes(8, "little"), start, *parts])


def unpack(message: bytes) -> tuple[dict[str, Any], list[WireTensor]]:
    """Returns the header and the tensors of a message."""
    end = 8 + int.from_bytes(message[:8], "little")
    header: dict[str, Any] = json.loads(message[8:end])
    tensors = []
    for dtype, shape, sizes in header.pop("tensors"):
        parts = []
        for size in sizes:
            parts.append(message[end : end + size])
            end += size
        tensors.append(WireTensor(dtype, shape, parts))
    return header, tensors


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _TensorFlowError(Exception):
    """What TensorFlow says about an error."""


_TYPES = {
    "v": None,
    "i": ctypes.c_int,
    "q": ctypes.c_int64,
    "n": ctypes.c_size_t,
    "s": ctypes.c_char_p,
    "P": ctypes.c_void_p,
}
# What every function returns and then what it takes, one letter each.
_FUNCTIONS = """
    TF_NewStatus P, TF_GetCode iP, TF_Message sP, TF_DeleteStatus vP,
    TF_NewGraph P, TF_DeleteGraph vP, TF_GraphOperationByName PPs,
    TF_NewSessionOptions P, TF_DeleteSessionOptions vP,
    TF_LoadSessionFromSavedModel PPPsPiPPP, TF_SessionRun vPPPPiPPiPiPP,
    TF_CloseSession vPP, TF_DeleteSession vPP,
    TF_AllocateTensor PiPin, TF_DeleteTensor vP, TF_TensorType iP,
    TF_NumDims iP, TF_Dim qPi, TF_TensorByteSize nP, TF_TensorData PP,
    TF_StringInit vP, TF_StringCopy vPsn, TF_StringDealloc vP,
    TF_StringGetDataPointer PP, TF_StringGetSize nP
"""


def _load_library(path: str) -> Any:
    library = ctypes.CDLL(path)
    for name, letters in map(str.split, _FUNCTIONS.split(",")):
        function = getattr(library, name)
        function.restype, *function.argtypes = map(_TYPES.get, letters)
    return library


@contextlib.contextmanager
def _checked(library: Any) -> Iterator[Any]:
    """Gives a status, and raises what error it then holds."""
    status = library.TF_NewStatus()
    try:
        yield status
        if library.TF_GetCode(status):
            text = library.TF_Message(status)
            raise _TensorFlowError(text.decode("utf-8", "replace"))
    finally:
        library.TF_DeleteStatus(status)


@contextlib.contextmanager
def _loaded(library: Any, path: str, tags: list[str]) -> Iterator[Any]:
    """Gives a function that runs requests on a SavedModel."""
    graph, options = library.TF_NewGraph(), library.TF_NewSessionOptions()
    names = (ctypes.c_char_p * len(tags))(*(tag.encode() for tag in tags))
    try:
        with _checked(library) as status:
            session = library.TF_LoadSessionFromSavedModel(
                *(options, None, os.fsencode(path), names, len(tags)),
                *(graph, None, status),
            )
        try:
            yield functools.partial(_run, library, graph, session)
        finally:
            for function in (library.TF_CloseSession, library.TF_DeleteSession):
                with _checked(library) as status:
                    function(session, status)
    finally:
        library.TF_DeleteSessionOptions(options)
        library.TF_DeleteGraph(graph)


def _run(
    library: Any,
    graph: Any,
    session: Any,
    inputs: dict[str, WireTensor],
    outputs: list[str],
) -> list[WireTensor]:
    feeds = (_Output * len(inputs))(*_places(library, graph, inputs))
    fetches = (_Output * len(outputs))(*_places(library, graph, outputs))
    fed = (ctypes.c_void_p * len(inputs))()
    fetched = (ctypes.c_void_p * len(outputs))()
    try:
        for number, tensor in enumerate(inputs.values()):
            fed[number] = _to_tensor(library, tensor)
        with _checked(library) as status:
            library.TF_SessionRun(
                *(session, None, feeds, fed, len(inputs), fetches),
                *(fetched, len(outputs), None, 0, None, status),
            )
        return [_from_tensor(library, pointer) for pointer in fetched]
    finally:
        # An output may share an input's memory, so that it must have been
        # read before the input is freed.
        for pointer in filter(None, fed):
            for string in _strings(library, pointer):
                library.TF_StringDealloc(string)
        for pointer in filter(None, (*fed, *fetched)):
            library.TF_DeleteTensor(pointer)


def _places(
    library: Any, graph: Any, names: Iterable[str]
) -> Iterator[_Output]:
    for name in names:
        operation, _, index = name.rpartition(":")
        found = library.TF_GraphOperationByName(graph, operation.encode())
        if not found:
            raise _TensorFlowError(f"The graph has no operation {operation!r}.")
        yield _Output(found, int(index))


def _to_tensor(library: Any, tensor: WireTensor) -> Any:
    dtype, shape, parts = tensor
    dims = (ctypes.c_int64 * len(shape))(*shape)
    is_text = dtype == STRING
    size = _STRING_BYTES * len(parts) if is_text else len(parts[0])
    pointer = library.TF_AllocateTensor(dtype, dims, len(shape), size)
    if is_text:
        for string, part in zip(_strings(library, pointer), parts, strict=True):
            library.TF_StringInit(string)
            library.TF_StringCopy(string, part, len(part))
    elif size:
        ctypes.memmove(library.TF_TensorData(pointer), parts[0], size)
    return pointer


def _from_tensor(library: Any, pointer: Any) -> WireTensor:
    data, size = library.TF_TensorData, library.TF_TensorByteSize
    places = [pointer]
    dtype = library.TF_TensorType(pointer)
    if dtype == STRING:
        places = _strings(library, pointer)
        data, size = library.TF_StringGetDataPointer, library.TF_StringGetSize
    parts = [ctypes.string_at(data(place), size(place)) for place in places]
    return WireTensor(dtype, _shape(library, pointer), parts)


def _shape(library: Any, pointer: Any) -> list[int]:
    rank = library.TF_NumDims(pointer)
    return [library.TF_Dim(pointer, axis) for axis in range(rank)]


def _strings(library: Any, pointer: Any) -> list[int]:
    """Returns the addresses of a tensor's strings, if it has any."""
    if library.TF_TensorType(pointer) != STRING:
        return []
    start = library.TF_TensorData(pointer) or 0
    count = math.prod(_shape(library, pointer))
    return [start + _STRING_BYTES * number for number in range(count)]


def _answer(
    library: Any, header: dict[str, Any], values: Iterator[WireTensor]
) -> bytes:
    answers: list[list[WireTensor]] = []
    number = None
    try:
        with _loaded(library, header["saved_model"], header["tags"]) as run:
            for request in header["requests"]:
                number = len(answers)
                inputs = {name: next(values) for name in request["inputs"]}
                answers.append(run(inputs, request["outputs"]))
    except _TensorFlowError as problem:
        return pack({"error": str(problem), "request": number}, [])
    return pack({}, itertools.chain.from_iterable(answers))


def main() -> None:
    """Reads a message and writes the answer."""
    # What TensorFlow prints must not end up among the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    header, values = unpack(sys.stdin.buffer.read())
    answer = _answer(_load_library(sys.argv[1]), header, iter(values))
    with os.fdopen(answers, "wb") as file:
        file.write(answer)


if __name__ == "__main__":
    main()
