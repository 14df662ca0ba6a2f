"""One version of a model: a SavedModel in a session, as the server has it."""

import os
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import prediction_log_pb2

from examples.serving._server import _refusal
from examples.serving._server._refusal import Refusal, invalid

Arrays = dict[str, NDArray[Any]]

DEFAULT_SIGNATURE = "serving_default"
_WARM_UP = pathlib.Path("assets.extra/tf_serving_warmup_requests")
_MAX_WARM_UPS = 1000


class Servable:
    """A SavedModel that answers, loaded without Keras and Python functions.

    Safe to use from several threads.

    Args:
        path: The folder of the version.

    Raises:
        Exception: Of many kinds, if it cannot be loaded.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(
                    self._session, ["serve"], str(path)
                )
        except BaseException:
            self._session.close()
            raise
        self.signatures = dict(loaded.signature_def)
        self._calls: dict[tuple[str, ...], Callable[..., Sequence[Any]]] = {}
        self._lock = threading.Lock()

    def predict(
        self,
        signature_name: str,
        inputs: Mapping[str, NDArray[Any]],
        only: Sequence[str] = (),
    ) -> Arrays:
        """Returns the outputs of a signature.

        Args:
            signature_name: Its name; empty for the default.
            inputs: An array for each of its inputs.
            only: Names of the wanted outputs. Defaults to `()`: all.

        Raises:
            Refusal: If the request does not fit the signature, or the model
                cannot work with what it holds.
        """
        signature_name = signature_name or DEFAULT_SIGNATURE
        signature = self._signature(signature_name)
        _check_inputs(signature.inputs, inputs)
        names = _wanted(signature.outputs, only)
        call = self._call(signature_name, signature, names)
        try:
            values = call(*(inputs[name] for name in sorted(signature.inputs)))
        except tf.errors.OpError as problem:
            code = _refusal.CODES[problem.error_code]
            raise Refusal(code, _sentence(problem.message)) from problem
        except (TypeError, ValueError) as problem:
            raise invalid(str(problem)) from problem
        return dict(zip(names, values, strict=True))

    def warm_up(self) -> int:
        """Answers the requests that the version brings, as a rehearsal.

        Returns:
            How many there were.

        Raises:
            Refusal: If one of them cannot be answered.
        """
        path = self.path / _WARM_UP
        if not path.exists():
            return 0
        records = _records(path)
        for number, record in enumerate(records, start=1):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise Refusal(
                    grpc.StatusCode.UNIMPLEMENTED,
                    f"Record {number} of '{_WARM_UP}' is no predict_log.",
                )
            request = log.predict_log.request
            self.predict(
                request.model_spec.signature_name,
                arrays(request.inputs),
                request.output_filter,
            )
        return len(records)

    def close(self) -> None:
        """Gives the memory back. Must not be called while requests run."""
        self._session.close()

    def _signature(self, name: str) -> Any:
        if name not in self.signatures:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{name}" not found.',
            )
        return self.signatures[name]

    def _call(
        self, signature_name: str, signature: Any, outputs: list[str]
    ) -> Callable[..., Sequence[Any]]:
        key = (signature_name, *outputs)
        with self._lock:
            if key not in self._calls:
                # Unlike `Session.run` it leaves all checks to the graph.
                self._calls[key] = self._session.make_callable(
                    [signature.outputs[name].name for name in outputs],
                    [
                        signature.inputs[n].name
                        for n in sorted(signature.inputs)
                    ],
                )
            return self._calls[key]


def arrays(tensors: Mapping[str, Any]) -> Arrays:
    """Returns the arrays of a request's `TensorProto`s.

    Raises:
        Refusal: If one holds other than it says.
    """
    found = {}
    for name, tensor in tensors.items():
        try:
            found[name] = tf.make_ndarray(tensor)
        except (TypeError, ValueError) as problem:
            raise invalid(
                f"tensor parsing error: {name}: {problem}"
            ) from problem
    return found


def shape_of(info: Any) -> tuple[int | None, ...] | None:
    """Returns the shape of a `TensorInfo`; `None` if it has no known rank."""
    shape = info.tensor_shape
    if shape.unknown_rank:
        return None
    return tuple(None if d.size < 0 else d.size for d in shape.dim)


def _check_inputs(
    wanted: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]]
) -> None:
    missing = sorted(set(wanted) - set(inputs))
    extra = sorted(set(inputs) - set(wanted))
    if missing or extra:
        raise invalid(
            f"input names do not match the signature: {sorted(inputs)} instead "
            f"of {sorted(wanted)}. Missing: {missing}. Unexpected: {extra}."
        )
    for name, array in inputs.items():
        info = wanted[name]
        dtype = tf.as_dtype(info.dtype)
        if tf.as_dtype(array.dtype) != dtype:
            found = tf.as_dtype(array.dtype).name
            raise invalid(
                f"input '{name}' must be {dtype.name}, but {found} is provided."
            )
        shape = shape_of(info)
        if shape is not None and not _fits(array.shape, shape):
            raise invalid(
                f"input '{name}' must have the shape {_text(shape)}, but "
                f"{_text(array.shape)} is provided."
            )


def _sentence(message: str) -> str:
    """Returns what went wrong, without where in the graph."""
    lines = message.split("\n\t [[")[0].strip().split("\n")
    return lines[-1].strip()


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size is None or size == found
        for found, size in zip(shape, wanted, strict=True)
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return f"[{','.join('?' if n is None else str(n) for n in shape)}]"


def _wanted(outputs: Mapping[str, Any], only: Sequence[str]) -> list[str]:
    for name in only:
        if name not in outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name}. It has "
                f"{sorted(outputs)}."
            )
    if len({*only}) < len(only):
        raise invalid(f"duplicate output tensor alias in {list(only)}.")
    # In one order, so that it is one call whatever order they are asked in.
    return sorted(only or outputs)


def _records(path: pathlib.Path) -> list[bytes]:
    dataset = tf.data.TFRecordDataset(str(path)).take(_MAX_WARM_UPS)
    return [record.numpy() for record in dataset]
