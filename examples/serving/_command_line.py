"""What the client and the local server share as programs: flags and `main`."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from absl import app, flags, logging

from examples import _runner
from examples.serving._clients._serving_error import ServingError
from keras_selfaux._checks import UsageError

Config = TypeVar("Config")


def config_from_flags(
    config_class: type[Config], values: flags.FlagValues
) -> Config:
    """Returns the settings that the flags give.

    Raises:
        ValueError: If a value does not fit.
    """
    arguments = {}
    for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
        value = values[field.name].value
        is_tuple = isinstance(field.default, tuple)
        arguments[field.name] = tuple(value) if is_tuple else value
    return config_class(**arguments)


def main(
    config_class: type[Config],
    run: Callable[[Config], Any],
    verbosity: int = logging.ERROR,
) -> None:
    """Calls `run` with the settings that the command line gives.

    What a user can mend ends the program with one line and status 1.

    Args:
        config_class: A dataclass whose fields are made by `_runner.setting`.
        run: Takes one of its instances.
        verbosity: Which log messages are shown, unless `--verbosity` says
            otherwise. Defaults to errors.
    """
    _runner.define_flags(config_class, flags.FLAGS)  # type: ignore[arg-type]

    def run_from_flags(arguments: list[str]) -> None:
        if len(arguments) > 1:
            raise app.UsageError(f"Unexpected arguments: {arguments[1:]}.")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(verbosity)
        try:
            run(config_from_flags(config_class, flags.FLAGS))
        except (
            FileExistsError,
            ImportError,
            ServingError,
            UsageError,
        ) as problem:
            sys.exit(f"error: {' '.join(str(problem).split())}")

    app.run(run_from_flags)
