"""A client that speaks REST, for where gRPC cannot pass."""

import base64
import json
import urllib.parse
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
)

from examples.serving._clients import _certificates, _signatures
from examples.serving._clients._client import Client, Target
from examples.serving._clients._serving_error import ServingError
from examples.serving._clients._signatures import (
    Arrays,
    Metadata,
    Signature,
    Tensor,
    VersionStatus,
)
from keras_selfaux._checks import error

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class RestClient(Client):
    """Asks a model by REST, in the columnar form of its JSON.

    The row form (`instances`) has an object for every example, which is longer,
    and both leave out the name of a single output, which is looked up.

    Args:
        target: The model and its server.

    Raises:
        ImportError: If requests is not installed.
        ValueError: If the certificates cannot be read.
    """

    def __init__(self, target: Target) -> None:
        try:
            import requests
        except ImportError as cause:
            raise ImportError(
                "REST needs requests, which could not be imported. Received: "
                f'{cause}. Install it with `pip install "keras_selfaux'
                '[serving]"`, or pass --protocol=grpc.'
            ) from cause
        super().__init__(target)
        self._requests = requests
        self._session = requests.Session()
        scheme = "http" if target.certificates is None else "https"
        self._verify: str | bool = True
        if _certificates.read(target.certificates or "") is not None:
            self._verify = target.certificates or ""
        model = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
        path = model
        if target.version is not None:
            path += f"/versions/{target.version}"
        elif target.label:
            path += f"/labels/{urllib.parse.quote(target.label, safe='')}"
        self._model = f"{scheme}://{target.server}{model}"
        self._url = f"{scheme}://{target.server}{path}"

    def close(self) -> None:
        self._session.close()

    def _request(
        self,
        inputs: Arrays,
        name: str,
        signature: Signature,
        tasks: Sequence[str],
    ) -> Any:
        for key, array in inputs.items():
            if not array.size:
                raise error(
                    f"Input '{key}' is empty, and JSON cannot tell its shape.",
                    received=f"shape {array.shape}",
                    remedy="Send at least one row, or pass --protocol=grpc.",
                )
        values = {key: _json_value(array) for key, array in inputs.items()}
        return {"signature_name": name, "inputs": values}

    def _ask(
        self,
        request: Any,
        signature: Signature,
        tasks: Sequence[str],
        seconds: float,
    ) -> Arrays:
        # The version whose outputs are known: a single one comes without name.
        url = f"{self._model}/versions/{self._known.version}:predict"
        answer = self._call("POST", url, "outputs", seconds, request)
        outputs = answer["outputs"]
        names = sorted(signature.outputs)
        if len(names) == 1:
            outputs = {names[0]: outputs}
        names = list(tasks or names)
        if not isinstance(outputs, dict) or not {*names} <= {*outputs}:
            raise self._malformed(f"other answers than {names}")
        try:
            return {
                task: _array(outputs[task], signature.outputs[task])
                for task in names
            }
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise self._malformed(problem) from problem

    def _ask_metadata(self, seconds: float) -> Metadata:
        url = f"{self._url}/metadata"
        answer = self._call("GET", url, "metadata", seconds)
        spec, signatures = (
            model_pb2.ModelSpec(),
            get_model_metadata_pb2.SignatureDefMap(),
        )
        try:
            json_format.ParseDict(answer["model_spec"], spec)
            content = answer["metadata"]["signature_def"]
            # A newer server may say more than these protos know.
            json_format.ParseDict(
                content, signatures, ignore_unknown_fields=True
            )
        except (KeyError, TypeError, json_format.ParseError) as problem:
            raise self._malformed(problem) from problem
        return _signatures.from_proto(spec, signatures)

    def _ask_status(self, seconds: float) -> list[VersionStatus]:
        key = "model_version_status"
        answer = self._call("GET", self._url, key, seconds)
        try:
            return [
                VersionStatus(
                    int(entry["version"]),
                    entry["state"],
                    entry.get("status", {}).get("error_message", ""),
                )
                for entry in answer[key]
            ]
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise self._malformed(problem) from problem

    def _call(
        self,
        method: str,
        url: str,
        key: str,
        seconds: float,
        content: Any = None,
    ) -> Any:
        """Returns the object that is answered, which must have the key."""
        requests = self._requests
        # Not as `json=`, which refuses NaN.
        body = None if content is None else json.dumps(content)
        try:
            response = self._session.request(
                method,
                url,
                data=body,
                timeout=seconds,
                # That of the session would yield to REQUESTS_CA_BUNDLE.
                verify=self._verify,
            )
        except requests.exceptions.SSLError as problem:
            code, details = grpc.StatusCode.UNAUTHENTICATED, _reason(problem)
            raise self._error(code, details) from problem
        except requests.exceptions.Timeout as problem:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            details = f"nothing within {seconds:.3g} s"
            raise self._error(code, details) from problem
        except (
            requests.exceptions.ConnectionError,
            # The server went away within its answer.
            requests.exceptions.ChunkedEncodingError,
        ) as problem:
            code, details = grpc.StatusCode.UNAVAILABLE, _reason(problem)
            raise self._error(code, details) from problem
        except requests.exceptions.RequestException as problem:
            raise self._malformed(problem) from problem
        return self._content(response, key)

    def _content(self, response: Any, key: str) -> Any:
        try:
            content = response.json()
        except ValueError:
            content = response.text or response.reason
        if isinstance(content, dict) and key in content and response.ok:
            return content
        if isinstance(content, dict):
            content = content.get("error", content)
        code = _CODES.get(response.status_code, grpc.StatusCode.UNKNOWN)
        raise self._error(code, content)

    def _malformed(self, problem: Any) -> ServingError:
        details = f"an answer that is none of TensorFlow Serving's: {problem!r}"
        return self._error(grpc.StatusCode.INTERNAL, details)

    def _error(self, code: grpc.StatusCode, details: Any) -> ServingError:
        return ServingError(code, self.target.server, str(details))


def _reason(problem: Exception) -> str:
    """Returns what urllib3 says that went wrong, without its attempts."""
    cause = problem.args[0] if problem.args else problem
    return str(getattr(cause, "reason", cause))


def _json_value(array: NDArray[Any]) -> Any:
    if array.dtype.kind != "O":
        return array.tolist()
    encoded = [_base64(value) for value in array.flat]
    return np.array(encoded, dtype=object).reshape(array.shape).tolist()


def _base64(value: bytes | str) -> dict[str, str]:
    data = value.encode() if isinstance(value, str) else value
    return {"b64": base64.b64encode(data).decode()}


def _array(value: Any, wanted: Tensor) -> NDArray[Any]:
    if wanted.dtype != "string":
        return np.array(value, dtype=wanted.numpy_dtype)
    leaves = np.array(value, dtype=object)
    flat = [_bytes(leaf) for leaf in leaves.flat]
    return np.array(flat, dtype=object).reshape(leaves.shape)


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, dict):
        return base64.b64decode(leaf["b64"])
    return leaf.encode()
