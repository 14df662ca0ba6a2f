"""All models of a server: their configuration, labels and versions."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from absl import logging
from tensorflow_serving.apis import get_model_status_pb2

from examples.serving._server import _models_config, _versions
from examples.serving._server._model import Model
from examples.serving._server._refusal import invalid, not_found
from examples.serving._server._servable import Servable
from keras_selfaux._checks import error

_Labels = dict[str, dict[str, int]]


class Manager:
    """The models that a configuration names.

    Args:
        read_config: Returns the `ModelServerConfig` as it is by now.
        models_dir: What stands for `/models` in base paths. Defaults to `""`:
            nothing does.
        early_labels: Whether a new label may be given to a version that is not
            available yet. Defaults to `False`.
    """

    def __init__(
        self,
        read_config: Callable[[], Any],
        models_dir: str = "",
        early_labels: bool = False,
    ) -> None:
        self._read_config = read_config
        self._models_dir = models_dir
        self._early_labels = early_labels
        self._config: Any = None
        self._models: dict[str, Model] = {}
        self._labels: _Labels = {}
        # Held while versions are loaded, which requests do not wait for.
        self._updating = threading.Lock()

    def load_config(self) -> None:
        """Takes up the configuration, and the versions that it wants.

        Raises:
            ValueError: If it cannot be taken up; the former one stays.
            OSError: If its file cannot be read.
        """
        config = self._read_config()
        if config == self._config:
            return
        labels = self._new_labels(config)
        self._config, self._labels = config, labels
        self.load_versions()

    def load_versions(self) -> None:
        """Takes up what is new in the models' folders."""
        with self._updating:
            models = list(self._config.model_config_list.config)
            for model in models:
                self._update(model)
            named = {model.name for model in models}
            for name in set(self._models) - named:
                self._models[name].reconcile({})

    def close(self) -> None:
        """Lays down all versions, once the requests that use them are done."""
        with self._updating:
            for model in self._models.values():
                model.reconcile({})

    @contextlib.contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, Servable]]:
        """Lends the version that a request's `ModelSpec` asks for.

        Raises:
            Refusal: If there is none.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        version = self._version(spec)
        model = self._models.get(spec.name) or Model(spec.name)
        with model.use(version) as lent:
            yield lent

    def status(self, spec: Any) -> Any:
        """Returns the `GetModelStatusResponse` of one or all versions.

        Raises:
            Refusal: If there is none.
        """
        if not spec.name:
            raise invalid("Missing model name in request.")
        version = self._version(spec)
        model = self._models.get(spec.name)
        states = model.states() if model else {}
        if version is not None:
            states = {n: s for n, s in states.items() if n == version}
        if not states:
            which = "any versions" if version is None else f"version {version}"
            raise not_found(f"Could not find {which} of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, state in states.items():
            entry = response.model_version_status.add()
            entry.version, entry.state = number, state.state
            entry.status.error_code = state.code
            entry.status.error_message = state.message
        return response

    def _version(self, spec: Any) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return spec.version.value
        if choice is None:
            return None
        labels = self._labels.get(spec.name, {})
        if spec.version_label not in labels:
            raise invalid(
                f"Unrecognized servable version label: {spec.version_label}"
            )
        return labels[spec.version_label]

    def _update(self, model: Any) -> None:
        path = _models_config.local_path(model.base_path, self._models_dir)
        entry = self._models.setdefault(model.name, Model(model.name))
        try:
            found = _versions.find(path)
        except OSError as problem:
            # What is loaded stays: a folder may come back.
            logging.error("%s: cannot read its folder: %s", model.name, problem)
            return
        entry.reconcile(_versions.choose(found, model.model_version_policy))

    def _new_labels(self, config: Any) -> _Labels:
        labels: _Labels = {}
        for model in config.model_config_list.config:
            labels[model.name] = dict(model.version_labels)
            for label, version in model.version_labels.items():
                if not self._may_label(model.name, label, version):
                    raise error(
                        "A label must be given to a version that is available.",
                        received=f"label '{label}' for version {version} of "
                        f"model {model.name}, which is not",
                        remedy="Wait until --status shows it, or, if the label "
                        "is new, start the server with "
                        "--allow_version_labels_for_unavailable_models.",
                    )
        return labels

    def _may_label(self, name: str, label: str, version: int) -> bool:
        entry = self._models.get(name)
        if entry and entry.is_available(version):
            return True
        # A label in use must not lose its version before the new one is there.
        present = self._labels.get(name, {}).get(label, version)
        return self._early_labels and present == version
