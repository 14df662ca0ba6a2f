"""`selfaux.json`: what a servable is and where it is from."""

import datetime
import json
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._files import read_json, write_json
from keras_selfaux._version import __version__
from keras_selfaux.export._content import content
from keras_selfaux.export._saved_model import signature_specs
from keras_selfaux.model import SelfAuxModel

MANIFEST_FILE = "assets.extra/selfaux.json"


def manifest(
    model: keras.Model,
    plain: keras.Model,
    name: str,
    meta_graph: Any,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Returns what `selfaux.json` holds.

    Args:
        model: The model that was exported.
        plain: What was exported of it.
        name: The servable's name.
        meta_graph: Its `MetaGraphDef`.
        metadata: What the user adds.
    """
    graph = None
    if isinstance(model, SelfAuxModel):
        graph = {
            "tasks": list(model.transfer_graph.tasks),
            "edges": [list(edge) for edge in model.transfer_graph.edges],
        }
    return {
        "format": 1,
        "model": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(
            timespec="seconds"
        ),
        "tasks": list(plain.output),
        "parameters": content(meta_graph).parameters,
        "signatures": signature_specs(meta_graph),
        "graph": graph,
        "training": _training(model),
        "versions": {
            "python": platform.python_version(),
            "keras_selfaux": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "metadata": dict(metadata or {}),
    }


def _training(model: keras.Model) -> dict[str, Any] | None:
    """Returns the logs of the last epoch, if this process trained."""
    history = getattr(model, "history", None)
    if not history or not history.epoch:
        return None
    metrics = {
        name: _as_json(values[-1]) for name, values in history.history.items()
    }
    return {"epochs": history.epoch[-1] + 1, "metrics": metrics}


def _as_json(value: Any) -> Any:
    """Returns a metric's value; it may be an array, and JSON has no NaN."""
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, int | str | None):
        return value
    return _as_json(np.asarray(value).tolist())


def check_metadata(metadata: Any) -> None:
    """Raises unless JSON can hold the user's additions.

    Raises:
        ValueError: If it cannot.
    """
    try:
        json.dumps(metadata, allow_nan=False)
        is_valid = metadata is None or isinstance(metadata, Mapping)
        found = f"{type(metadata).__name__}"
    except (TypeError, ValueError) as problem:
        is_valid, found = False, f"{problem}"
    if not is_valid:
        raise error(
            "`metadata` must be a dict that JSON can hold.",
            received=found,
            remedy="Pass strings, finite numbers, lists and dicts.",
        )


def write_manifest(folder: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes the manifest of a SavedModel."""
    write_json(folder / MANIFEST_FILE, content)


def read_manifest(folder: pathlib.Path) -> dict[str, Any] | None:
    """Reads the manifest of a SavedModel, `None` if it has none.

    Raises:
        ValueError: If it is damaged.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        return None
    try:
        content = read_json(path)
        kinds = {"tasks": list, "signatures": dict, "parameters": int}
        if content["format"] == 1 and all(
            isinstance(content[key], kind) for key, kind in kinds.items()
        ):
            return dict(content)
        problem: Any = f"format {content['format']!r}"
    except (KeyError, TypeError, ValueError) as cause:
        problem = repr(cause)
    raise error(
        f"'{path}' must be a manifest as `write_servable` writes it.",
        received=problem,
        remedy="Export the model again.",
    )
