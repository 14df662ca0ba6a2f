"""Requests that a server runs before it answers clients.

The first request of a kind is slow, since memory is set aside and functions
are optimised then. Format: TensorFlow Serving's guide "SavedModel Warmup".
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_selfaux._checks import error

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"

_MOST_REQUESTS = 1_000
"""A server refuses a model with more."""

_BUFFER_SIZE = 2**20  # bytes

_MISFITS = (LookupError, TypeError, ValueError)
"""What TensorFlow raises of tensors that are not what they say."""

_ROWS = 3
"""Of requests that are made up."""


class Request(NamedTuple):
    """What a client sends.

    Attributes:
        signature: Name of a signature.
        inputs: Arrays by the inputs' names; strings are bytes in arrays of
            objects.
    """

    signature: str
    inputs: Mapping[str, Any]


def serving_protos() -> Any:
    """Returns the server's messages, from `tensorflow-serving-api`.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as cause:
        raise ImportError(
            "Warm-up requests need tensorflow-serving-api, which could not be "
            f"imported. Received: {cause}. Install it with "
            '`pip install "keras_selfaux[serving]"`, or export without '
            "`examples`."
        ) from cause
    return predict_pb2, prediction_log_pb2


def write_warmup(
    folder: pathlib.Path, model_name: str, requests: list[Request]
) -> None:
    """Writes requests where a server looks for them.

    Args:
        folder: Of the SavedModel.
        model_name: Name of the model on the server.
        requests: What to send.
    """
    predict_pb2, prediction_log_pb2 = serving_protos()
    if len(requests) > _MOST_REQUESTS:
        # With so many tasks, each alone is hardly asked for.
        requests = requests[:_MOST_REQUESTS]
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, array in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def read_warmup(folder: pathlib.Path) -> list[Request]:
    """Reads the requests back; there may be none.

    Raises:
        ImportError: If there are some, but tensorflow-serving-api is missing.
        ValueError: If the file is damaged.
    """
    path = folder / WARMUP_FILE
    if not path.exists():
        return []
    _, prediction_log_pb2 = serving_protos()
    from google.protobuf.message import DecodeError

    requests = []
    try:
        records = tf.data.TFRecordDataset(str(path), buffer_size=_BUFFER_SIZE)
        for record in records.as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            sent = log.predict_log.request
            inputs = {
                name: np.asarray(tf.make_ndarray(tensor))
                for name, tensor in sent.inputs.items()
            }
            requests.append(Request(sent.model_spec.signature_name, inputs))
    except (DecodeError, tf.errors.OpError, *_MISFITS) as problem:
        raise error(
            f"'{path}' must hold warm-up requests, TFRecords of PredictionLog.",
            received=f"{problem}",
            remedy="Export the model again; a server would refuse this one.",
        ) from problem
    return requests


def made_up_requests(specs: Mapping[str, Any]) -> list[Request]:
    """Returns a request for every signature, with inputs drawn at random.

    Args:
        specs: As `signature_specs` returns them.
    """
    generator = np.random.default_rng(0)
    return [
        Request(
            signature,
            {
                name: _made_up(generator, spec)
                for name, spec in ends["inputs"].items()
            },
        )
        for signature, ends in specs.items()
    ]


def _made_up(
    generator: np.random.Generator, spec: Mapping[str, Any]
) -> NDArray[Any]:
    """Returns random values for an input."""
    dtype, shape = tf.as_dtype(spec["dtype"]), spec["shape"] or [None]
    # Sizes that may vary are 3; an image of 32 pixels suits most networks.
    unknown = 32 if len(shape) == 4 else _ROWS
    shape = [_ROWS, *(unknown if n is None else n for n in shape[1:])]
    if dtype == tf.string:
        return np.full(shape, b"text", object)
    if dtype.is_floating:
        values: NDArray[Any] = generator.uniform(-1, 1, shape)
    else:
        values = generator.integers(0, 2, shape)
    return values.astype(dtype.as_numpy_dtype)
