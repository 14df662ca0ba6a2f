"""Servers and clients for tests, and versions that come and go."""

import contextlib
import json
import pathlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from examples.serving._clients._client import Client, Target
from examples.serving._clients._grpc_client import GrpcClient
from examples.serving._clients._rest_client import RestClient
from examples.serving.local_server import Config, LocalServer

X = {"inputs": [[0.5, -0.5]]}
CLIENTS = {"grpc": GrpcClient, "rest": RestClient}


def start(**settings: Any) -> LocalServer:
    """Returns a running server on free ports, quick to see changes."""
    settings = {
        "host": "127.0.0.1",
        "port": 0,
        "rest_api_port": 0,
        "file_system_poll_wait_seconds": 0.05,
        "model_config_file_poll_wait_seconds": 0.05,
        **{
            name: str(s) if isinstance(s, pathlib.Path) else s
            for name, s in settings.items()
        },
    }
    return LocalServer(Config(**settings))


def address(server: LocalServer, protocol: str) -> str:
    """Returns host and port of a protocol."""
    port = server.port if protocol == "grpc" else server.rest_api_port
    return f"127.0.0.1:{port}"


def connect(server: LocalServer, protocol: str, **changes: Any) -> Client:
    """Returns a client of the model `arms`."""
    settings = {"server": address(server, protocol), "model": "arms", **changes}
    return CLIENTS[protocol](Target(**settings))


def place(version: pathlib.Path, base_path: pathlib.Path, number: int) -> None:
    """Copies a version to where a server looks, so that it comes at once."""
    base_path.mkdir(exist_ok=True)
    unfinished = base_path / f".{number}"
    shutil.copytree(version, unfinished)
    unfinished.rename(base_path / str(number))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Returns once a condition holds.

    Raises:
        AssertionError: If it does not within the time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)


def states(server: LocalServer, model: str = "arms") -> dict[int, str]:
    """Returns the state of every version."""
    settings = {"server": address(server, "grpc"), "model": model}
    with GrpcClient(Target(**settings)) as client:
        return {entry.version: entry.state for entry in client.status()}


def config_text(
    base_path: pathlib.Path,
    policy: str,
    labels: Mapping[str, int] | None = None,
) -> str:
    """Returns a `models.config` of the model `arms`."""
    lines = [
        f"version_labels {{ key: {json.dumps(label)} value: {version} }}"
        for label, version in (labels or {}).items()
    ]
    return (
        f'model_config_list {{ config {{ name: "arms" base_path: "{base_path}" '
        f'model_platform: "tensorflow" model_version_policy {{ {policy} }} '
        f"{' '.join(lines)} }} }}"
    )


@contextlib.contextmanager
def asking(server: LocalServer) -> Iterator[None]:
    """Asks by both protocols all the time, and fails if one request does."""
    stopped, problems, numbers = threading.Event(), [], {"grpc": 0, "rest": 0}

    def ask(protocol: str) -> None:
        # No retries: an interruption must not go unseen.
        with connect(server, protocol, retries=0) as client:
            while not stopped.is_set():
                try:
                    client.predict(X)
                    numbers[protocol] += 1
                except Exception as problem:
                    problems.append(problem)

    threads = [threading.Thread(target=ask, args=[p]) for p in numbers]
    for thread in threads:
        thread.start()
    wait_until(lambda: min(numbers.values()) > 5)
    try:
        yield
        seen = dict(numbers)
        wait_until(lambda: all(numbers[p] > seen[p] + 5 for p in numbers))
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert problems == []


def answer(server: LocalServer, **changes: Any) -> Any:
    """Returns what a task is answered."""
    with connect(server, "grpc", **changes) as client:
        return client.predict(X)["arm_0"]


def is_from_2(server: LocalServer, **changes: Any) -> bool:
    """Whether version 2 answers, whose answers are zeros."""
    return not answer(server, **changes).any()
