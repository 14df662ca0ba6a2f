"""A model with its versions, which come and go while requests run."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import tensorflow as tf
from absl import logging
from tensorflow_serving.apis import get_model_status_pb2

from examples.serving._server import _versions
from examples.serving._server._refusal import CODES, Refusal, not_found
from examples.serving._server._servable import Servable

_State = get_model_status_pb2.ModelVersionStatus.State


@dataclasses.dataclass
class _Loaded:
    servable: Servable
    num_users: int = 0


@dataclasses.dataclass(frozen=True)
class VersionState:
    """How a version is: its state, and why it is not available."""

    state: int
    code: int = 0
    message: str = ""


class Model:
    """The versions of one model.

    Any thread may use them, while one takes them up and lays them down.

    Args:
        name: What requests call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._changed = threading.Condition()
        self._loaded: dict[int, _Loaded] = {}
        self._states: dict[int, VersionState] = {}
        self._failed: dict[int, Any] = {}

    def states(self) -> dict[int, VersionState]:
        """Returns how all versions are that there have been, newest first."""
        with self._changed:
            return dict(sorted(self._states.items(), reverse=True))

    def is_available(self, version: int) -> bool:
        """Whether a version answers."""
        with self._changed:
            return version in self._loaded

    @contextlib.contextmanager
    def use(self, version: int | None) -> Iterator[tuple[int, Servable]]:
        """Lends a version, which stays until it has been given back.

        Args:
            version: Its number; `None` for the highest that is available.

        Raises:
            Refusal: If it is not available.
        """
        with self._changed:
            number = max(self._loaded, default=None)
            if version is not None:
                number = version if version in self._loaded else None
            if number is None:
                raise not_found(
                    f"Servable not found for request: {_request(self, version)}"
                )
            entry = self._loaded[number]
            entry.num_users += 1
        try:
            yield number, entry.servable
        finally:
            with self._changed:
                entry.num_users -= 1
                self._changed.notify_all()

    def reconcile(self, wanted: _versions.Found) -> None:
        """Takes up the versions that are wanted, then lays down the others.

        A version that cannot be loaded is tried again once its files change.
        As long as none of the wanted is available the others stay.
        """
        for version, path in sorted(wanted.items()):
            if not self.is_available(version):
                self._load(version, path)
        if wanted and not any(map(self.is_available, wanted)):
            return
        for version in [v for v in self._loaded if v not in wanted]:
            self._unload(version)

    def _load(self, version: int, path: Any) -> None:
        try:
            files = _versions.fingerprint(path)
        except OSError:  # gone while it is looked at
            return
        if self._failed.get(version) == files:
            return
        self._enter(version, VersionState(_State.LOADING))
        try:
            servable = _warm(path)
        # Whatever goes wrong in a version, the server must go on.
        except Exception as problem:
            code = _code(problem)
            message = " ".join(str(problem).split())
            logging.error("%s %d: cannot load: %s", self.name, version, message)
            self._failed[version] = files
            state = VersionState(_State.END, code.value[0], message)
            self._enter(version, state)
            return
        self._failed.pop(version, None)
        with self._changed:
            self._loaded[version] = _Loaded(servable)
            self._states[version] = VersionState(_State.AVAILABLE)
        logging.info("%s %d: available", self.name, version)

    def _unload(self, version: int) -> None:
        with self._changed:
            entry = self._loaded.pop(version)
            self._states[version] = VersionState(_State.UNLOADING)
            self._changed.wait_for(lambda: not entry.num_users)
        entry.servable.close()
        self._enter(version, VersionState(_State.END))
        logging.info("%s %d: unloaded", self.name, version)

    def _enter(self, version: int, state: VersionState) -> None:
        with self._changed:
            self._states[version] = state


def _warm(path: Any) -> Servable:
    servable = Servable(path)
    try:
        servable.warm_up()
    except Refusal as problem:
        servable.close()
        raise Refusal(
            problem.code, f"A warm-up request failed: {problem.message}"
        ) from problem
    except BaseException:
        servable.close()
        raise
    return servable


def _code(problem: Exception) -> grpc.StatusCode:
    if isinstance(problem, Refusal):
        return problem.code
    if isinstance(problem, tf.errors.OpError):
        return CODES[problem.error_code]
    return grpc.StatusCode.UNKNOWN


def _request(model: Model, version: int | None) -> str:
    if version is None:
        return f"Latest({model.name})"
    return f"Specific({model.name}, {version})"
