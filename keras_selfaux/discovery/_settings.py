"""What a folder's enumeration was made with; no other may go on from it."""

import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

from keras_selfaux._files import write_json
from keras_selfaux._stacking import Template
from keras_selfaux._stacking._template import without_names
from keras_selfaux.discovery._checkpoint import STATE, WEIGHTS
from keras_selfaux.discovery._data import digest
from keras_selfaux.discovery._search import Search
from keras_selfaux.discovery._tuner_search import PROJECT
from keras_selfaux.model import SelfAuxModel

_FILE = "settings.json"


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
    if overwrite and path.exists() and not is_worker():
        _remove(folder)
    if not path.exists():
        if not is_worker():
            write_json(path, settings)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    different = [key for key in settings if found.get(key) != settings[key]]
    if different:
        raise FileExistsError(
            f"`directory` '{folder}' holds an enumeration with other settings. "
            f"Received: different {', '.join(different)}. Pass overwrite=True "
            "to start anew, or another directory."
        )


def _remove(folder: pathlib.Path) -> None:
    """Removes an enumeration, and nothing else that may be in its folder."""
    shutil.rmtree(folder / PROJECT, ignore_errors=True)
    for path in (folder / STATE, *folder.glob(WEIGHTS), folder / _FILE):
        path.unlink(missing_ok=True)


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
    parts = [
        type(network).__name__,
        [tuple(weight.shape) for weight in network.weights],
        without_names(network.get_compile_config()),
    ]
    if isinstance(network, SelfAuxModel):
        layers = network.head_bank.heads.values()
        parts += [Template(layer).key for layer in layers]
        stages = getattr(network.encoder, "stages", ())
        parts += [Template(layer).key for layer in stages]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
