"""What a client could not get from a server, in one form of message."""

import grpc

_TEXTS = {
    grpc.StatusCode.UNAVAILABLE: (
        "The server {server} cannot be reached.",
        "Start it, or pass another --server.",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "The server {server} did not answer in time.",
        "Pass a longer --deadline.",
    ),
    grpc.StatusCode.NOT_FOUND: (
        "The server {server} has no such model or version.",
        "Ask for one that it has: --status shows a model's versions.",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        "The server {server} or the way to it has no room for this.",
        "Send smaller batches, or fewer at once.",
    ),
    grpc.StatusCode.UNAUTHENTICATED: (
        "The connection to {server} could not be secured.",
        "Pass --root_certificates of whoever signed the server's.",
    ),
}
_OTHERWISE = (
    "The server {server} refused the request.",
    "Mend it: --metadata shows what each signature wants.",
)


class ServingError(RuntimeError):
    """No answer from a server.

    Args:
        code: The kind, as gRPC has it.
        server: Host and port.
        details: What the server said, or how it could not be reached.
    """

    def __init__(
        self, code: grpc.StatusCode, server: str, details: str
    ) -> None:
        wrong, remedy = _TEXTS.get(code, _OTHERWISE)
        # A server's text may have several lines, and end with a full stop.
        details = " ".join(details.split()).rstrip(".")
        super().__init__(
            f"{wrong.format(server=server)} Received: {code.name}: {details}. "
            f"{remedy}"
        )
        self.code = code
