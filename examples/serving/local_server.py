"""A stand-in for TensorFlow Serving, for development and tests only.

Where no server can be started, it speaks the server's own protos and REST JSON
on real connections, loads versions as the server does, takes up new ones while
it runs, and rereads models.config. It is written in Python, batches nothing,
and must not be put before users.

  python examples/serving/local_server.py --models_dir=saved_models \\
      --model_config_file=examples/serving/models.config \\
      --allow_version_labels_for_unavailable_models
  python examples/serving/local_server.py --model_name=robot_arm \\
      --model_base_path=saved_models/robot_arm
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import threading
from typing import Any, Self

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if not __package__:
    # As a script it has its own folder on the path, not the repository's.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import grpc
import tensorflow as tf
from absl import logging

from examples import _runner
from examples.serving._server import _grpc_server, _models_config
from examples.serving._server._manager import Manager
from examples.serving._server._poller import Poller
from examples.serving._server._rest_server import RestServer
from keras_selfaux._checks import check_positive, error

_GRACE_SECONDS = 5.0
_HIGHEST_PORT = 65_535


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The settings, most of them named as TensorFlow Serving names them.

    Raises:
        ValueError: If a number is negative, or the models are given both ways
            or not at all.
    """

    host: str = _runner.setting("localhost", "Name or address to listen at.")
    port: int = _runner.setting(8500, "Port of gRPC; 0 is any that is free.")
    rest_api_port: int = _runner.setting(
        8501, "Port of REST; 0 is any that is free."
    )
    model_config_file: str = _runner.setting(
        "", "The models, as a ModelServerConfig in text form."
    )
    model_name: str = _runner.setting(
        "default", "Name of the only model, without --model_config_file."
    )
    model_base_path: str = _runner.setting(
        "", "Folder with the only model's versions."
    )
    models_dir: str = _runner.setting(
        "", "Folder that stands for /models in --model_config_file."
    )
    file_system_poll_wait_seconds: float = _runner.setting(
        1.0, "Seconds between looks for new versions; 0: none after the first."
    )
    model_config_file_poll_wait_seconds: float = _runner.setting(
        0.0, "Seconds between looks at --model_config_file; 0: only one look."
    )
    allow_version_labels_for_unavailable_models: bool = _runner.setting(
        False, "Whether a new label may have a version that is not loaded yet."
    )
    num_threads: int = _runner.setting(
        16, "How many gRPC requests are worked on at once."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in (
            "port",
            "rest_api_port",
            "file_system_poll_wait_seconds",
            "model_config_file_poll_wait_seconds",
        ):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("port", "rest_api_port"):
            if getattr(self, name) > _HIGHEST_PORT:
                raise error(
                    f"`{name}` must be at most {_HIGHEST_PORT}.",
                    received=f"{name}={getattr(self, name)}",
                    remedy="Pass a port, or 0 for any that is free.",
                )
        check_positive("num_threads", self.num_threads)
        if bool(self.model_config_file) == bool(self.model_base_path):
            raise error(
                "The models must be given by `model_config_file` or "
                "`model_base_path`, one of them.",
                received=f"model_config_file={self.model_config_file!r}, "
                f"model_base_path={self.model_base_path!r}",
                remedy="Pass one of the two.",
            )

    def read_models(self) -> Any:
        """Returns the `ModelServerConfig` as it is by now.

        Raises:
            ValueError: If there is none.
        """
        if self.model_base_path:
            return _models_config.single(self.model_name, self.model_base_path)
        try:
            text = pathlib.Path(self.model_config_file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise error(
                "`model_config_file` cannot be read.",
                received=f"'{self.model_config_file}' ({problem})",
                remedy="Pass the path of a models.config.",
            ) from problem
        return _models_config.parse(text, self.model_config_file)


class LocalServer:
    """A running server; a context manager that stops it at the end.

    Args:
        config: The settings.
        credentials: For TLS of gRPC. Defaults to `None`: without.

    Raises:
        ValueError: If the models cannot be read or a port is taken.
    """

    def __init__(
        self, config: Config, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self.manager = Manager(
            config.read_models,
            config.models_dir,
            config.allow_version_labels_for_unavailable_models,
        )
        with contextlib.ExitStack() as undo:
            undo.callback(self.manager.close)
            # Like the real one it listens once the first versions are there.
            self.manager.load_config()
            self._rest = RestServer(
                self.manager, config.host, config.rest_api_port
            )
            undo.callback(self._rest.server_close)
            self._grpc, self.port = _grpc_server.start(
                self.manager,
                f"{config.host}:{config.port}",
                config.num_threads,
                credentials,
            )
            undo.pop_all()
        self.rest_api_port = self._rest.server_address[1]
        for_config = config.model_config_file_poll_wait_seconds
        for_versions = config.file_system_poll_wait_seconds
        self._poller = Poller(
            {
                self.manager.load_config: for_config,
                self.manager.load_versions: for_versions,
            }
        )
        self._rest.start()
        self._poller.start()

    def stop(self) -> None:
        """Answers the requests under way, and stops."""
        self._poller.stop()
        self._rest.stop()
        self._grpc.stop(_GRACE_SECONDS).wait()
        self.manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()


def run(config: Config) -> None:
    """Serves until it is told to stop, by SIGTERM or Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    # Of the loader that the server uses as well, TensorFlow says it is old.
    tf.get_logger().setLevel("ERROR")
    print("For development and tests only: not TensorFlow Serving.")
    with LocalServer(config) as server:
        print(f"gRPC at {config.host}:{server.port}")
        print(f"REST at {config.host}:{server.rest_api_port}", flush=True)
        stopped.wait()
    print("Stopped.")


if __name__ == "__main__":
    _runner.main(Config, run, verbosity=logging.INFO)
