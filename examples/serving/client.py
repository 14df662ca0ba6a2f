"""Asks a model of TensorFlow Serving for predictions, by gRPC or REST.

  python examples/serving/client.py --model=robot_arm --x="0.5,-0.5;0.1,0.2"
  python examples/serving/client.py --model=robot_arm --protocol=rest \\
      --tasks=arm_0,arm_1 --input=points.npy --output=angles.npz
  python examples/serving/client.py --model=rooms --images=a.jpg,b.png \\
      --picture=seen.png --kinds=seg:classes,depth:depth,normal:normals
  python examples/serving/client.py --model=robot_arm --status
  python examples/serving/client.py --model=robot_arm --metadata
"""

import dataclasses
import os
import pathlib
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if not __package__:
    # As a script it has its own folder on the path, not the repository's.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from examples import _runner
from examples.serving._clients import _answers, _inputs, _picture
from examples.serving._clients._client import DEFAULT_SIGNATURE, Client, Target
from examples.serving._clients._grpc_client import GrpcClient
from examples.serving._clients._rest_client import RestClient
from examples.serving._clients._serving_error import ServingError
from examples.serving._clients._signatures import Arrays, Signature
from keras_selfaux._checks import (
    check_choice,
    check_count,
    check_positive,
    error,
)

PROTOCOLS = {"grpc": GrpcClient, "rest": RestClient}
_PORTS = {"grpc": 8500, "rest": 8501}
_IMAGE_SIGNATURE = "image_bytes"
_QUESTIONS = ("x", "input", "images", "status", "metadata")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The settings.

    Raises:
        ValueError: If a value is out of its range, or there is not one
            question.
    """

    server: str = _runner.setting(
        "", "host:port. Defaults to localhost:8500 for gRPC, :8501 for REST."
    )
    protocol: str = _runner.setting("grpc", "What to speak.", tuple(PROTOCOLS))
    model: str = _runner.setting("", "Name of the model.")
    version: str = _runner.setting(
        "", "Number of the version. Default: the highest."
    )
    label: str = _runner.setting("", "Label of the version, such as stable.")
    signature: str = _runner.setting(
        "", "Signature. Default: serving_default; for --images, image_bytes."
    )
    tasks: tuple[str, ...] = _runner.setting(
        (), "The wanted answers, separated by commas. Default: all."
    )
    x: str = _runner.setting("", "Rows of numbers: 0.5,-0.5;0.1,0.2.")
    input: str = _runner.setting("", "File of arrays: .npy, .npz or .json.")
    images: tuple[str, ...] = _runner.setting(
        (), "JPEG or PNG files, which are sent as they are."
    )
    status: bool = _runner.setting(False, "Ask how the versions are.")
    metadata: bool = _runner.setting(False, "Ask for the signatures.")
    output: str = _runner.setting("", "File for the answers: .npz or .json.")
    picture: str = _runner.setting(
        "", "PNG for --images with the answers of --kinds beside them."
    )
    kinds: tuple[str, ...] = _runner.setting(
        (), f"task:kind of what --picture shows; kinds: {_picture.KINDS}."
    )
    overwrite: bool = _runner.setting(False, "Whether files may be replaced.")
    deadline: float = _runner.setting(10.0, "Seconds for all attempts.")
    retries: int = _runner.setting(
        3, "How often to try again while the server is away."
    )
    tls: bool = _runner.setting(False, "Whether the connection is secured.")
    root_certificates: str = _runner.setting(
        "", "PEM file of trusted certificates. Default: the system's."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_positive("deadline", self.deadline)
        check_count("retries", self.retries, least=0)
        asked = [name for name in _QUESTIONS if getattr(self, name)]
        if not self.model or len(asked) != 1:
            raise error(
                "There must be a `model` and one question to it, of "
                f"{list(_QUESTIONS)}.",
                received=f"model={self.model!r}, questions {asked}",
                remedy="Pass --model and one of these.",
            )
        is_number = self.version.isdecimal() and int(self.version) < 2**63
        if self.version and (not is_number or self.label):
            raise error(
                "`version` must be a whole number, without a `label`.",
                received=f"version={self.version!r}, label={self.label!r}",
                remedy="Pass one of the two.",
            )
        if bool(self.picture) != bool(self.kinds) or (
            self.picture and not self.images
        ):
            raise error(
                "`picture`, `images` and the `kinds` of their answers go "
                "together.",
                received=f"picture={self.picture!r}, images={self.images}, "
                f"kinds={self.kinds}",
                remedy="Pass such as --kinds=seg:classes,depth:depth.",
            )
        if self.root_certificates and not self.tls:
            raise error(
                "`root_certificates` are for secured connections.",
                received=f"root_certificates={self.root_certificates!r} "
                "without tls",
                remedy="Pass --tls, too.",
            )
        if self.output:
            _answers.check_suffix(self.output)
        _picture.parse_kinds(self.kinds)

    @property
    def target(self) -> Target:
        """What is asked, and where."""
        return Target(
            server=self.server or f"localhost:{_PORTS[self.protocol]}",
            model=self.model,
            version=int(self.version) if self.version else None,
            label=self.label,
            deadline=self.deadline,
            retries=self.retries,
            certificates=self.root_certificates if self.tls else None,
        )


def run(config: Config) -> Any:
    """Asks, and prints the answer.

    Returns:
        What was asked for: `{task: array}`, a list of `VersionStatus`, or
        `Metadata`.

    Raises:
        FileExistsError: If a file would be replaced.
        ImportError: If a package is missing.
        RuntimeError: If the server gives no answer.
        ValueError: If what is asked does not fit the model.
    """
    _answers.check_free([config.output, config.picture], config.overwrite)
    with PROTOCOLS[config.protocol](config.target) as client:
        if config.status:
            versions = client.status()
            _print(_answers.status_table(versions))
            return versions
        if config.metadata:
            metadata = client.metadata()
            _print(_answers.metadata_table(metadata))
            return metadata
        return _predict(config, client)


def _predict(config: Config, client: Client) -> Arrays:
    name = config.signature or (
        _IMAGE_SIGNATURE if config.images else DEFAULT_SIGNATURE
    )
    metadata = client.metadata()
    inputs = _read(config, metadata.signature(name))
    start = time.perf_counter()
    answers = client.predict(inputs, name, config.tasks)
    milliseconds = 1000 * (time.perf_counter() - start)
    num_rows = len(next(iter(inputs.values())))
    print(
        f"{config.model}, version {metadata.version}, signature {name}: "
        f"{num_rows} rows in {milliseconds:.1f} ms"
    )
    _print(_answers.table(answers))
    if config.output:
        _answers.save(config.output, answers)
        print(f"Wrote {config.output}")
    if config.picture:
        images = list(next(iter(inputs.values())))
        kinds = _picture.parse_kinds(config.kinds)
        _picture.draw(images, answers, kinds, config.picture)
        print(f"Drew {config.picture}")
    return answers


def _read(config: Config, signature: Signature) -> Arrays:
    if config.images:
        return _inputs.from_images(config.images, signature)
    if config.input:
        return _inputs.from_file(config.input, signature)
    return _inputs.from_text(config.x, signature)


def _print(lines: list[str]) -> None:
    print("\n".join(lines))


if __name__ == "__main__":
    _runner.main(Config, run, expected=(ServingError,))
