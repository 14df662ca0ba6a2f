"""The REST API of the local server."""

import contextlib
import http.server
import json
import re
import socket
import sys
import threading
import urllib.parse
from typing import Any

from absl import logging
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
)

from examples.serving._server import _grpc_server, _rest_tensors
from examples.serving._server._manager import Manager
from examples.serving._server._refusal import Refusal, invalid
from examples.serving._server._servable import DEFAULT_SIGNATURE
from keras_selfaux._checks import error

_LONGEST_BODY = 2**30
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_PREDICT = re.compile(_MODEL + ":predict", re.IGNORECASE)
_STATUS = re.compile(_MODEL + "(/metadata)?", re.IGNORECASE)

_GRACE_SECONDS = 5.0


class RestServer(http.server.ThreadingHTTPServer):
    """A server of the REST API, on connections that stay open.

    Args:
        manager: The models.
        host: The name to listen at.
        port: The port; 0 is any that is free.

    Raises:
        ValueError: If the port is taken.
    """

    daemon_threads = True
    # Many clients may come at once.
    request_queue_size = 128

    def __init__(self, manager: Manager, host: str, port: int) -> None:
        self.manager = manager
        self._idle = threading.Condition()
        self._num_busy = 0
        self._connections: set[socket.socket] = set()
        try:
            super().__init__((host, port), _Handler)
        except OSError as problem:
            raise error(
                "The REST port cannot be listened at.",
                received=f"{host}:{port} ({problem.strerror})",
                remedy="Pass another --rest_api_port, or 0 for any that is "
                "free.",
            ) from problem
        self._thread = threading.Thread(target=self.serve_forever, name="rest")

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers the requests under way, and ends all connections."""
        self.shutdown()
        self._thread.join()
        with self._idle:
            self._idle.wait_for(lambda: not self._num_busy, _GRACE_SECONDS)
            for connection in self._connections:
                # Its client may have ended it already.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serves a connection in a thread of its own."""
        with self._idle:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection."""
        with self._idle:
            self._connections.discard(request)
        super().shutdown_request(request)

    def count_busy(self, change: int) -> None:
        """Notes that a request has come (1) or been answered (-1)."""
        with self._idle:
            self._num_busy += change
            self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            logging.exception("A connection failed.")


class _Handler(http.server.BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    # A small answer must not wait for the acknowledgement of its head.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answers what is no HTTP, or another method, as JSON as well."""
        self.close_connection = True
        self._send(int(code), json.dumps({"error": message or "bad request"}))

    def log_message(self, format: str, *args: Any) -> None:
        """Logs no requests, of which there are many."""

    def _answer(self, function: Any) -> None:
        self.server.count_busy(1)
        try:
            try:
                status, text = 200, function()
            except Refusal as problem:
                status = problem.http_status
                text = json.dumps({"error": problem.message})
            # A client must get an answer, and the log must say more.
            except Exception as problem:
                logging.exception("A request failed.")
                status, text = 500, json.dumps({"error": str(problem)})
            self._send(status, text)
        finally:
            self.server.count_busy(-1)

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _get(self) -> str:
        match = self._match(_STATUS)
        spec = _spec(match)
        if not match[4]:
            return _json(self.server.manager.status(spec))
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        response = _grpc_server.metadata(self.server.manager, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return (
            f'{{"model_spec": {_json(response.model_spec)}, '
            f'"metadata": {{"signature_def": {_json(signatures)}}}}}'
        )

    def _post(self) -> str:
        body = self._body()
        spec = _spec(self._match(_PREDICT))
        content = _rest_tensors.parse(body)
        name = content.get("signature_name") or DEFAULT_SIGNATURE
        with self.server.manager.use(spec) as (_, servable):
            if name not in servable.signatures:
                raise invalid(
                    f'Serving signature name: "{name}" not found in signature '
                    "def"
                )
            infos = servable.signatures[name].inputs
            inputs = _rest_tensors.inputs(content, infos)
            outputs = servable.predict(name, inputs)
        return _rest_tensors.outputs(outputs, in_rows="instances" in content)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        is_number = length.isascii() and length.isdigit()
        if not is_number or int(length) > _LONGEST_BODY:
            # There is no telling where the next request begins.
            self.close_connection = True
            raise invalid(
                "A request must say its Content-Length, of at most "
                f"{_LONGEST_BODY} bytes."
            )
        return self.rfile.read(int(length))

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.fullmatch(urllib.parse.urlsplit(self.path).path)
        if match is None:
            raise invalid(f"Malformed request: {self.command} {self.path}")
        return match


def _spec(match: re.Match[str]) -> Any:
    name, version, label = match[1], match[2], match[3]
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(name))
    if version is not None:
        if int(version) >= 2**63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version)
    if label is not None:
        spec.version_label = urllib.parse.unquote(label)
    return spec


def _json(message: Any) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
