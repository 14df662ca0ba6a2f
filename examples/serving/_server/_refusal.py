"""What a server answers when it cannot answer: a code and a sentence."""

import grpc

_HTTP = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}

CODES = {code.value[0]: code for code in grpc.StatusCode}
"""The codes by number, which are those of TensorFlow's errors too."""


class Refusal(Exception):  # noqa: N818 (no error of the server's)
    """Why a request gets no answer.

    Args:
        code: The kind, as gRPC has it.
        message: A sentence for whoever asked.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The number that TensorFlow Serving's REST API has for the code."""
        return _HTTP.get(self.code, 500)


def invalid(message: str) -> Refusal:
    """Returns the refusal of a request that is wrong in itself."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> Refusal:
    """Returns the refusal of a request for what is not there."""
    return Refusal(grpc.StatusCode.NOT_FOUND, message)
