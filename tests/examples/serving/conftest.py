"""A local server with a model, and clients of it."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from absl import flags

from examples import _runner
from examples.serving import client as program
from examples.serving._clients._client import Client
from examples.serving.local_server import LocalServer
from tests.examples.serving.images import jpeg, png
from tests.examples.serving.models import Served
from tests.examples.serving.running import address, connect, start


@pytest.fixture(scope="session")
def served() -> Served:
    """The model of version 1."""
    return Served()


@pytest.fixture(scope="session")
def version_1(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Any:
    """The folder of version 1, to be copied from."""
    path = tmp_path_factory.mktemp("version_1") / "1"
    served.write(path)
    return path


@pytest.fixture(scope="session")
def version_2(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of version 2, which answers zeros."""
    path = tmp_path_factory.mktemp("version_2") / "2"
    Served(scale=0.0).write(path)
    return path


@pytest.fixture(scope="session")
def server(version_1: pathlib.Path) -> Iterator[LocalServer]:
    """A server with version 1 of the model `arms`."""
    with start(model_name="arms", model_base_path=version_1.parent) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(server: LocalServer, protocol: str) -> Iterator[Client]:
    with connect(server, protocol) as connected:
        yield connected


@pytest.fixture
def run(server: LocalServer, protocol: str) -> Callable[..., Any]:
    """Runs the client with flags, as the command line does."""

    def run_with(*arguments: str) -> Any:
        values = flags.FlagValues()
        _runner.define_flags(program.Config, values)
        given = [
            f"--server={address(server, protocol)}",
            f"--protocol={protocol}",
            "--model=arms",
            *arguments,
        ]
        values(["client.py", *given])
        return program.run(_runner.config_from_flags(program.Config, values))

    return run_with


@pytest.fixture
def pictures(tmp_path: pathlib.Path) -> list[str]:
    """Paths of a JPEG and a PNG."""
    paths = {"a.jpg": jpeg(), "b.png": png()}
    for name, data in paths.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in paths]
