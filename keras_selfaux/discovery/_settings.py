"""What a folder's enumeration was made with; no other may go on from it."""

import contextlib
import hashlib
import os
import pathlib
import shutil
from typing import Any

from keras_selfaux._files import read_json, write_json
from keras_selfaux._stacking._template import without_names
from keras_selfaux.discovery._data import digest
from keras_selfaux.discovery._search import Search

# Within the folder of the user, only these are ever touched.
_FILE = "enumeration.json"
FOREST = "enumeration_forest"
TRIALS = "enumeration_trials"


def is_worker() -> bool:
    """Whether this process is a worker of a chief, as KerasTuner says."""
    chief_elsewhere = "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and chief_elsewhere


def claim(
    folder: pathlib.Path, search: Search, network: Any, *, overwrite: bool
) -> None:
    """Makes a folder that of an enumeration, or finds that it is already.

    Args:
        folder: The folder.
        search: What is to be trained.
        network: The network of all tasks.
        overwrite: Whether to remove an enumeration that is there.

    Raises:
        FileExistsError: If there is one with other settings.
    """
    path = folder / _FILE
    settings = _settings(search, network)
    if is_worker() and (overwrite or not path.exists()):
        return  # that is for the chief to see to
    if overwrite and path.exists():
        for name in (FOREST, TRIALS):
            shutil.rmtree(folder / name, ignore_errors=True)
    if overwrite or not path.exists():
        write_json(path, settings)
        return
    found: Any = None
    with contextlib.suppress(ValueError):
        found = read_json(path)
    if not isinstance(found, dict):
        raise FileExistsError(
            f"'{path}' is damaged: it does not hold the settings of an "
            "enumeration. Pass overwrite=True to start anew, or another "
            "directory."
        )
    different = [key for key in settings if found.get(key) != settings[key]]
    if different:
        raise FileExistsError(
            f"`directory` '{folder}' holds an enumeration with other settings. "
            f"Received: different {', '.join(different)}. Pass overwrite=True "
            "to start anew, or another directory."
        )


def _settings(search: Search, network: Any) -> dict[str, Any]:
    return {
        "tasks": list(search.tasks),
        "seeds": list(dict.fromkeys(n.seed for n in search.networks)),
        "epochs": search.epochs,
        "batch_size": search.batch_size,
        "train_data": digest(search.train_data),
        "validation_data": digest(search.validation_data),
        "build_model": _digest_of_network(network),
    }


def _digest_of_network(network: Any) -> str:
    """Returns a text that tells networks apart, as far as configs do."""
    parts: list[Any] = [tuple(weight.shape) for weight in network.weights]
    for layer in network._flatten_layers():
        parts.append(type(layer).__name__)
        # Not every layer of a user's has a config.
        with contextlib.suppress(Exception):
            parts.append(_plain(layer.get_config()))
    with contextlib.suppress(Exception):
        parts.append(_plain(network.get_compile_config()))
    encoder = getattr(network, "encoder", None)
    parts.append(getattr(encoder, "path_table", None))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _plain(config: Any) -> Any:
    """Returns a config without what differs from one build to the next."""
    if isinstance(config, (list, tuple)):
        return [_plain(value) for value in config]
    if not isinstance(config, dict):
        return config
    # Functional models name their layers here, by running numbers.
    dropped = ("layers", "input_layers", "output_layers")
    return without_names(
        {k: _plain(v) for k, v in config.items() if k not in dropped}
    )
