"""The gRPC services of the local server."""

from concurrent import futures
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from examples.serving._server._manager import Manager
from examples.serving._server._refusal import Refusal, invalid
from examples.serving._server._servable import DEFAULT_SIGNATURE, arrays
from keras_selfaux._checks import error

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Otherwise a second server could take the same port unnoticed.
    ("grpc.so_reuseport", 0),
]


def predict(manager: Manager, request: Any) -> Any:
    """Returns the `PredictResponse` to a `PredictRequest`.

    Raises:
        Refusal: If it cannot be answered.
    """
    inputs = arrays(request.inputs)
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    with manager.use(request.model_spec) as (version, servable):
        outputs = servable.predict(name, inputs, request.output_filter)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    response.model_spec.version.value = version
    for task, array in outputs.items():
        response.outputs[task].CopyFrom(tf.make_tensor_proto(array))
    return response


def metadata(manager: Manager, request: Any) -> Any:
    """Returns the `GetModelMetadataResponse` with all signatures.

    Raises:
        Refusal: If there is no such version, or other fields are wanted.
    """
    if list(request.metadata_field) != ["signature_def"]:
        raise invalid(
            "metadata_field must be 'signature_def' alone, not "
            f"{list(request.metadata_field)}."
        )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with manager.use(request.model_spec) as (version, servable):
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    response.metadata["signature_def"].Pack(signatures)
    return response


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        return _answer(predict, self._manager, request, context)

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return _answer(metadata, self._manager, request, context)


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        return _answer(
            lambda manager, asked: manager.status(asked.model_spec),
            self._manager,
            request,
            context,
        )


def _answer(function: Any, manager: Manager, request: Any, context: Any) -> Any:
    try:
        return function(manager, request)
    except Refusal as problem:
        context.abort(problem.code, problem.message)


def start(
    manager: Manager,
    address: str,
    num_threads: int,
    credentials: grpc.ServerCredentials | None = None,
) -> tuple[grpc.Server, int]:
    """Starts the services.

    Args:
        manager: The models.
        address: Host and port, where port 0 is any that is free.
        num_threads: How many requests are worked on at once.
        credentials: For TLS. Defaults to `None`: without.

    Returns:
        The server and its port.

    Raises:
        ValueError: If the port is taken.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(num_threads), options=_OPTIONS
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Predictions(manager), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _Models(manager), server
    )
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as problem:
        raise error(
            "The gRPC port cannot be listened at.",
            received=address,
            remedy="Pass another --port, or 0 for any that is free.",
        ) from problem
    server.start()
    return server, port
