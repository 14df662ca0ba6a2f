"""A client that speaks gRPC."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from examples.serving._clients import _certificates, _signatures
from examples.serving._clients._client import Client, Target
from examples.serving._clients._serving_error import ServingError
from examples.serving._clients._signatures import (
    Arrays,
    Metadata,
    Signature,
    VersionStatus,
)

_MAX_MESSAGE_BYTES = 100 * 2**20
_OPTIONS = [
    # The default of 4 MiB is too little for a few hundred pictures.
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # How soon after a refused connection the next is tried, in milliseconds:
    # sooner than the next attempt.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcClient(Client):
    """Asks a model by gRPC.

    Args:
        target: The model and its server.

    Raises:
        ValueError: If the certificates cannot be read.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        if target.certificates is None:
            self._channel = grpc.insecure_channel(target.server, _OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(
                _certificates.read(target.certificates)
            )
            self._channel = grpc.secure_channel(
                target.server, credentials, _OPTIONS
            )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def _request(
        self,
        inputs: Arrays,
        name: str,
        signature: Signature,
        tasks: Sequence[str],
    ) -> Any:
        request = predict_pb2.PredictRequest(output_filter=tasks)
        self._name(request.model_spec)
        request.model_spec.signature_name = name
        for key, array in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
        return request

    def _ask(
        self,
        request: Any,
        signature: Signature,
        tasks: Sequence[str],
        seconds: float,
    ) -> Arrays:
        response = self._call(self._predictions.Predict, request, seconds)
        return {
            task: tf.make_ndarray(tensor)
            for task, tensor in sorted(response.outputs.items())
        }

    def _ask_metadata(self, seconds: float) -> Metadata:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        self._name(request.model_spec)
        ask = self._predictions.GetModelMetadata
        response = self._call(ask, request, seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return _signatures.from_proto(response.model_spec, signatures)

    def _ask_status(self, seconds: float) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest()
        self._name(request.model_spec)
        response = self._call(self._models.GetModelStatus, request, seconds)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(
                entry.version,
                states.Name(entry.state),
                entry.status.error_message,
            )
            for entry in response.model_version_status
        ]

    def _name(self, spec: Any) -> None:
        spec.name = self.target.model
        if self.target.version is not None:
            spec.version.value = self.target.version
        elif self.target.label:
            spec.version_label = self.target.label

    def _call(
        self, ask: Callable[..., Any], request: Any, seconds: float
    ) -> Any:
        try:
            return ask(request, timeout=seconds)
        except grpc.RpcError as problem:
            raise ServingError(
                problem.code(), self.target.server, problem.details() or ""
            ) from problem
