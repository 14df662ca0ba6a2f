"""The local server as a program."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures

import pytest
import requests

from examples.serving._server import _servable
from examples.serving.local_server import Config
from tests.examples.serving.running import connect, start

ROOT = pathlib.Path(__file__).parents[3]
SERVER = ROOT / "examples/serving/local_server.py"
CLIENT = ROOT / "examples/serving/client.py"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": -1}, "`port` must be zero or a positive number"),
        ({"num_threads": 0}, "`num_threads` must be a positive number"),
        (
            {"file_system_poll_wait_seconds": -1.0},
            "`file_system_poll_wait_seconds` must be zero or a positive",
        ),
        (
            {"model_base_path": ""},
            "by `model_config_file` or `model_base_path`",
        ),
        ({"model_config_file": "a"}, "one of them"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**{"model_base_path": "models", **changes})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("port", "gRPC port cannot be listened at.*another --port"),
        ("rest_api_port", "REST port cannot be listened at.*--rest_api_port"),
    ],
)
def test_a_port_that_is_taken(version_1, name, message):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = {name: taken.getsockname()[1]}
        with pytest.raises(ValueError, match=message):
            start(model_base_path=version_1.parent, **port)


def test_stopping_ends_connections(version_1):
    server = start(model_name="arms", model_base_path=version_1.parent)
    with connect(server, "rest", retries=0) as client:
        assert client.status()
        server.stop()
        with pytest.raises(RuntimeError, match="cannot be reached"):
            client.status()


def test_stopping_waits_for_requests(version_1, protocol, monkeypatch):
    predict, has_begun = _servable.Servable.predict, threading.Event()

    def slow(self, *arguments):
        has_begun.set()
        time.sleep(0.3)
        return predict(self, *arguments)

    monkeypatch.setattr(_servable.Servable, "predict", slow)
    server = start(model_name="arms", model_base_path=version_1.parent)
    with (
        connect(server, protocol, retries=0) as client,
        futures.ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(client.predict, {"inputs": [[0.5, -0.5]]})
        assert has_begun.wait(10)
        server.stop()
        assert answer.result()["arm_0"].shape == (1, 3)


def test_a_failure_of_its_own_is_an_answer_too(server, monkeypatch, caplog):
    def fail(spec):
        raise KeyError("a bug")

    monkeypatch.setattr(server.manager, "status", fail)
    url = f"http://127.0.0.1:{server.rest_api_port}/v1/models/arms"
    response = requests.get(url, timeout=10)
    assert (response.status_code, response.json()) == (
        500,
        {"error": "'a bug'"},
    )
    assert "A request failed." in caplog.text


@pytest.mark.slow
def test_both_programs(version_1, tmp_path):
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [
        sys.executable,
        str(SERVER),
        "--port=0",
        "--rest_api_port=0",
        "--model_name=robot_arm",
        f"--model_base_path={version_1.parent}",
    ]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert "not TensorFlow Serving" in server.stdout.readline()
        ports = [server.stdout.readline().split(":")[1] for _ in range(2)]

        def ask(*arguments):
            return subprocess.run(
                [sys.executable, str(CLIENT), "--model=robot_arm", *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

        grpc, rest = (f"--server=localhost:{port.strip()}" for port in ports)
        found = ask(grpc, "--x=0.5,-0.5;0.1,0.2", "--tasks=arm_0")
        assert found.returncode == 0, found.stderr
        assert re.search(r"2 rows in .* ms\ntask .*\narm_0 +2x3 ", found.stdout)
        found = ask(rest, "--protocol=rest", "--status")
        assert found.stdout == "version 1  AVAILABLE\n"
        found = ask(grpc, "--x=1,2,3")
        assert found.returncode == 1
        assert found.stderr.splitlines()[-1].startswith("error: Input 'inputs'")
        assert "Traceback" not in found.stderr
        server.send_signal(signal.SIGTERM)
        assert server.stdout.read() == "Stopped.\n"
    assert server.returncode == 0
    found = ask(grpc, "--status", "--retries=0")
    assert found.returncode == 1
    assert "cannot be reached" in found.stderr.splitlines()[-1]
