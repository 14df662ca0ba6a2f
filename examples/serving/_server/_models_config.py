"""`models.config`: which models there are, and where."""

import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from keras_selfaux._checks import error

CONTAINER_DIR = pathlib.PurePosixPath("/models")
"""Where the container of `compose.yaml` has the models."""


def parse(text: str, name: str) -> Any:
    """Returns the `ModelServerConfig` that a text proto holds.

    Args:
        text: The text.
        name: Of the file, for messages.

    Raises:
        ValueError: If it is none, a model lacks a name or a base path, or two
            have one name.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as problem:
        raise error(
            f"'{name}' must be a ModelServerConfig in text form.",
            received=str(problem).rstrip("."),
            remedy="Mend the line.",
        ) from problem
    models = config.model_config_list.config
    names = [model.name for model in models]
    if not names or len({*names}) < len(names) or "" in names:
        raise error(
            f"'{name}' must list models in model_config_list, at least one, "
            "each with a name of its own.",
            received=f"names {names}",
            remedy="Give each config a name.",
        )
    for model in models:
        if not pathlib.PurePath(model.base_path).is_absolute():
            raise error(
                f"'{name}' must give an absolute base_path for each model.",
                received=f"base_path {model.base_path!r} of '{model.name}'",
                remedy="Begin it with a slash.",
            )
    return config


def single(name: str, base_path: str) -> Any:
    """Returns the `ModelServerConfig` of one model with default policy."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=name,
        base_path=str(pathlib.Path(base_path).absolute()),
        model_platform="tensorflow",
    )
    return config


def local_path(base_path: str, models_dir: str) -> pathlib.Path:
    """Returns a base path with `models_dir`, if any, in place of `/models`."""
    path = pathlib.PurePosixPath(base_path)
    if models_dir and path.is_relative_to(CONTAINER_DIR):
        return pathlib.Path(models_dir) / path.relative_to(CONTAINER_DIR)
    return pathlib.Path(path)
