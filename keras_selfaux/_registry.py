"""Keras serialisation and the `get` function that every family shares."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import keras

from keras_selfaux._checks import error, telling_damage

PACKAGE = "keras_selfaux"

_Class = TypeVar("_Class", bound=type)


def register(cls: _Class) -> _Class:
    """Registers `cls` with Keras as `keras_selfaux>ClassName`.

    A registered object comes back from `keras.models.load_model` without
    `custom_objects`.
    """
    registered: _Class = keras.saving.register_keras_serializable(PACKAGE)(cls)
    return registered


def naming_config(cls: type, config: Any) -> AbstractContextManager[None]:
    """Tells what was to be made where a config is damaged.

    Args:
        cls: The class that is made of the config within the context.
        config: The config.

    Raises:
        ValueError: If nothing can be made of it.
    """
    return telling_damage(
        lambda found: error(
            f"No {cls.__name__} can be made of this config.",
            received=f"{found} ({config!r:.100})",
            remedy="Pass what `get_config` returned, with all classes of your "
            "own registered.",
        )
    )


def resolve(
    identifier: Any,
    *,
    argument: str,
    base: type,
    names: Mapping[str, Callable[[], Any]],
) -> Any:
    """Turns a name, a config dict or an instance into an instance.

    Args:
        identifier: A key of `names`, a dict made by Keras's
            `serialize_keras_object`, or an instance of `base`.
        argument: The name of the user's argument, for messages.
        base: The family's base class.
        names: Maps each accepted name to a constructor without arguments.

    Returns:
        An instance of `base`.

    Raises:
        ValueError: If `identifier` is none of these.
    """
    value = identifier
    if isinstance(value, str) and value in names:
        return names[value]()
    if isinstance(value, dict) and "class_name" in value:
        value = _described(value, argument)
    if isinstance(value, base):
        return value
    raise error(
        f"`{argument}` must be a known name, a config dict or an instance of "
        f"{base.__name__}.",
        received=f"{argument}={identifier!r}",
        remedy=f"Known names: {sorted(names)}.",
    )


def _described(config: dict[str, Any], argument: str) -> Any:
    """Returns what a config dict describes; as in Keras, no Lambda.

    Raises:
        ValueError: If it describes nothing that can be made.
    """
    # As in Keras, a class's name and config are enough.
    ours = {"registered_name": f"{PACKAGE}>{config['class_name']}"}
    with telling_damage(
        lambda found: error(
            f"`{argument}` is a config dict that nothing can be made of.",
            received=f"{config!r:.200} ({found})",
            remedy="Pass what `serialize` returned.",
        )
    ):
        return keras.saving.deserialize_keras_object({**ours, **config})
