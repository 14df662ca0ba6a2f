import http.server
import socket
import threading
import time

import grpc
import pytest

from examples.serving._clients import _attempts
from examples.serving._clients._attempts import Attempts
from examples.serving._clients._client import Target
from examples.serving._clients._serving_error import ServingError
from tests.examples.serving.running import CLIENTS, start

X = {"inputs": [[0.5, -0.5]]}


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def connect(protocol, port, **settings):
    server = f"127.0.0.1:{port}"
    return CLIENTS[protocol](Target(server=server, model="arms", **settings))


def test_a_server_that_is_away(protocol, free_port):
    message = "127.0.0.1:.* cannot be reached.*UNAVAILABLE: .*Start it"
    start_time = time.monotonic()
    with (
        connect(protocol, free_port, retries=2) as client,
        pytest.raises(ServingError, match=message) as raised,
    ):
        client.predict(X)
    assert "\n" not in str(raised.value)
    # Two waits, of at least half of 0.1 and 0.2 seconds.
    assert time.monotonic() - start_time > 0.15


def test_a_server_that_comes_up(protocol, free_port, version_1):
    port = "port" if protocol == "grpc" else "rest_api_port"
    settings = {"model_name": "arms", "model_base_path": version_1.parent}
    running = []
    timer = threading.Timer(
        0.3, lambda: running.append(start(**settings, **{port: free_port}))
    )
    with connect(protocol, free_port, retries=50, deadline=20) as client:
        timer.start()
        try:
            assert {*client.predict(X)} == {"arm_0", "arm_1"}
        finally:
            timer.join()
            running[0].stop()


def test_a_server_that_comes_back(protocol, free_port, version_1):
    port = "port" if protocol == "grpc" else "rest_api_port"
    settings = {"model_name": "arms", "model_base_path": version_1.parent}
    with connect(protocol, free_port, retries=50, deadline=20) as client:
        for _ in range(2):
            with start(**settings, **{port: free_port}):
                assert {*client.predict(X)} == {"arm_0", "arm_1"}


def test_a_server_that_does_not_answer(protocol):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        message = "did not answer in time.*DEADLINE_EXCEEDED.*--deadline"
        start_time = time.monotonic()
        with (
            connect(protocol, port, deadline=0.5) as client,
            pytest.raises(ServingError, match=message),
        ):
            client.status()
        assert 0.4 < time.monotonic() - start_time < 2.0


class TestRest:
    """Answers that TensorFlow Serving or a proxy before it may give."""

    @pytest.fixture
    def ask(self):
        """Asks for the status, which gets the given answers in turn."""
        answers, counted = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                counted.append(self.path)
                status, body = answers.pop(0)
                if status is None:
                    return  # ends the connection
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()

            def ask_for_status(*given, retries=3):
                answers[:] = given
                counted.clear()
                port = server.server_address[1]
                with connect("rest", port, retries=retries) as client:
                    return client.status(), len(counted)

            yield ask_for_status
            server.shutdown()
            thread.join()

    FULL = (503, b'{"error": "The queue is full"}')
    GOOD = (200, b'{"model_version_status": [{"version": 1, "state": "END"}]}')

    @pytest.mark.parametrize("failure", [FULL, (None, b"")])
    def test_tries_again(self, ask, failure):
        (entry,), number = ask(failure, failure, self.GOOD)
        assert (entry.version, entry.state, entry.message) == (1, "END", "")
        assert number == 3

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (FULL, "cannot be reached.*UNAVAILABLE: The queue is full"),
            ((504, b"{}"), "did not answer in time"),
            ((429, b'{"error": "enough"}'), "no room for this.*enough"),
            ((502, b"<html>Bad\nGateway</html>"), "UNKNOWN: <html>Bad Gate"),
            ((200, b"[]"), r"refused the request.*UNKNOWN: \[\]"),
            ((200, b"welcome"), "UNKNOWN: welcome"),
            ((200, b""), "UNKNOWN: OK"),
        ],
    )
    def test_says_what_came_instead(self, ask, answer, message):
        with pytest.raises(ServingError, match=message):
            ask(answer, retries=0)


class TestAttempts:
    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch):
        self.now, self.waits = 0.0, []

        def sleep(seconds):
            self.waits.append(seconds)
            self.now += seconds

        monkeypatch.setattr(_attempts.time, "sleep", sleep)
        monkeypatch.setattr(_attempts.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(_attempts.random, "uniform", lambda low, high: high)

    def failing(self, times, code=grpc.StatusCode.UNAVAILABLE):
        left = iter(range(times))

        def attempt(seconds):
            self.seconds = seconds
            if next(left, None) is not None:
                raise ServingError(code, "server", "away")
            return "answer"

        return attempt

    def test_waits_twice_as_long_each_time(self):
        assert Attempts(100.0, 3).call(self.failing(3)) == "answer"
        assert self.waits == pytest.approx([0.1, 0.2, 0.4])
        assert self.seconds == pytest.approx(99.3)

    def test_waits_no_longer_than_some_seconds(self):
        assert Attempts(1000.0, 10).call(self.failing(10)) == "answer"
        assert max(self.waits) == 5.0

    def test_ends_with_its_retries(self):
        with pytest.raises(ServingError, match="away"):
            Attempts(100.0, 2).call(self.failing(3))
        assert len(self.waits) == 2

    def test_ends_with_its_time(self):
        with pytest.raises(ServingError, match="away"):
            Attempts(0.5, 100).call(self.failing(100))
        assert self.now <= 0.5

    def test_tries_nothing_again_that_cannot_pass(self):
        code = grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(ServingError, match="away"):
            Attempts(100.0, 3).call(self.failing(1, code))
        assert self.waits == []
