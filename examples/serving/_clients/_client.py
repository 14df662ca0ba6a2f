"""The interface of both clients: what can be asked of a model."""

import abc
import dataclasses
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import grpc
from numpy.typing import ArrayLike

from examples.serving._clients import _signatures
from examples.serving._clients._attempts import Attempts
from examples.serving._clients._serving_error import ServingError
from examples.serving._clients._signatures import (
    Arrays,
    Metadata,
    Signature,
    VersionStatus,
)
from keras_selfaux._checks import UsageError, error

DEFAULT_SIGNATURE = "serving_default"

_SECONDS_OF_METADATA = 5.0
"""How long a version is taken to be the one to ask."""

_HIGHEST_PORT = 65_535
_LONGEST_DEADLINE = 86_400.0
_SERVER = re.compile(r"([^\s/:\[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What is asked, where, and with how much patience.

    Args:
        server: Host and port.
        model: The model's name.
        version: Number of the version. Defaults to `None`: the highest, or
            that with the label.
        label: A version's label. Defaults to `""`: none.
        deadline: Seconds within which an answer must be there, over all
            attempts, a day at most. By REST, a server that goes on sending
            is waited for. Defaults to 10.
        retries: How often to try again while the server is away. Defaults
            to 3.
        certificates: Path of a PEM file with the certificates that are
            trusted, `""` for those of the system. Defaults to `None`: no TLS.

    Raises:
        ValueError: If `server` is no host and port, or `deadline` no time.
    """

    server: str
    model: str
    version: int | None = None
    label: str = ""
    deadline: float = 10.0
    retries: int = 3
    certificates: str | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        parts = _SERVER.fullmatch(self.server)
        if parts is None or not 0 < int(parts[2]) <= _HIGHEST_PORT:
            raise error(
                "`server` must be a host and a port.",
                received=f"server={self.server!r}",
                remedy="Pass, say, localhost:8500.",
            )
        if not 0 < self.deadline <= _LONGEST_DEADLINE:
            raise error(
                "`deadline` must be seconds, "
                f"{_LONGEST_DEADLINE:,.0f} at most.",
                received=f"deadline={self.deadline!r}",
                remedy="Pass a shorter one.",
            )


class Client(abc.ABC):
    """A connection to a model; a context manager that closes it at the end.

    Args:
        target: The model and its server.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known = Metadata(0, {})
        self._asked = -math.inf

    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = DEFAULT_SIGNATURE,
        tasks: Sequence[str] = (),
    ) -> Arrays:
        """Returns the model's answers.

        What is sent is first compared with the model's metadata, which are
        asked for every few seconds, and when something does not fit: there
        may be a new version.

        Args:
            inputs: `{name: array}`, of which the first dimension is the batch.
            signature: Which of the model's signatures is asked.
            tasks: Names of the wanted answers. Defaults to `()`: all.

        Returns:
            `{task: array}`.

        Raises:
            ValueError: If what is sent does not fit the signature.
            ServingError: If the server gives no answer.
        """
        attempts = self._attempts()
        if time.monotonic() - self._asked < _SECONDS_OF_METADATA:
            try:
                return self._predict(attempts, inputs, signature, tasks)
            except (ServingError, UsageError) as problem:
                # With a new version, what was known may no longer be true.
                if not _may_be_outdated(problem):
                    raise
        self._remember(attempts.call(self._ask_metadata))
        return self._predict(attempts, inputs, signature, tasks)

    def _predict(
        self,
        attempts: Attempts,
        inputs: Mapping[str, ArrayLike],
        signature: str,
        tasks: Sequence[str],
    ) -> Arrays:
        """Asks by the metadata that are known."""
        wanted, arrays = _fitted(self._known, inputs, signature, tasks)
        request = self._request(arrays, signature, wanted, tasks)
        return attempts.call(
            lambda seconds: self._ask(request, wanted, tasks, seconds)
        )

    def _remember(self, metadata: Metadata) -> None:
        self._known, self._asked = metadata, time.monotonic()

    def metadata(self) -> Metadata:
        """Returns the signatures of the version.

        Raises:
            ServingError: If the server gives no answer.
        """
        self._remember(self._attempts().call(self._ask_metadata))
        return self._known

    def status(self) -> list[VersionStatus]:
        """Returns how the versions of the model are.

        Raises:
            ServingError: If the server gives no answer.
        """
        return self._attempts().call(self._ask_status)

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connection."""

    @abc.abstractmethod
    def _request(
        self,
        inputs: Arrays,
        name: str,
        signature: Signature,
        tasks: Sequence[str],
    ) -> Any:
        """Returns what is sent."""

    @abc.abstractmethod
    def _ask(
        self,
        request: Any,
        signature: Signature,
        tasks: Sequence[str],
        seconds: float,
    ) -> Arrays:
        """Sends a request once."""

    @abc.abstractmethod
    def _ask_metadata(self, seconds: float) -> Metadata:
        """Asks for the signatures once."""

    @abc.abstractmethod
    def _ask_status(self, seconds: float) -> list[VersionStatus]:
        """Asks for the states once."""

    def _attempts(self) -> Attempts:
        return Attempts(self.target.deadline, self.target.retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def _may_be_outdated(problem: Exception) -> bool:
    return not isinstance(problem, ServingError) or problem.code in {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
    }


def _fitted(
    metadata: Metadata,
    inputs: Mapping[str, ArrayLike],
    name: str,
    tasks: Sequence[str],
) -> tuple[Signature, Arrays]:
    """Returns the signature, and the inputs as it wants them."""
    signature = metadata.signature(name)
    _signatures.check_tasks(tasks, signature)
    return signature, _signatures.fitted(inputs, signature)
