"""Rules that turn the gradients of several tasks into one update.

An aggregator takes the K rows of a step, one task's gradient each, and
returns what takes the place of their sum. All are on the scale of that sum:
K equal rows give K times the row.

>>> keras_selfaux.aggregators.get("mgda").name
'mgda'
"""

from typing import Any

import keras

from keras_selfaux._registry import resolve
from keras_selfaux.aggregators._base import (
    Aggregator,
    Coefficients,
    GramianAggregator,
)
from keras_selfaux.aggregators._mgda import MGDA

__all__ = [
    "MGDA",
    "Aggregator",
    "Coefficients",
    "GramianAggregator",
    "deserialize",
    "get",
    "serialize",
]

_NAMES = {
    "mgda": MGDA,
}


def get(identifier: Any) -> Aggregator | None:
    """Returns an aggregator from a name, a config dict or an instance.

    Args:
        identifier: A name such as `"mgda"`, a dict made by `serialize`, an
            `Aggregator`, or `None`, which stays `None`.

    Raises:
        ValueError: If there is no such aggregator.
    """
    if identifier is None:
        return None
    found: Aggregator = resolve(
        identifier, argument="aggregator", base=Aggregator, names=_NAMES
    )
    return found


def serialize(aggregator: Aggregator) -> dict[str, Any]:
    """Returns an aggregator's config dict, without its state."""
    config: dict[str, Any] = keras.saving.serialize_keras_object(aggregator)
    return config


def deserialize(config: dict[str, Any]) -> Aggregator:
    """Returns the aggregator that `serialize` described."""
    found: Aggregator = resolve(
        config, argument="aggregator", base=Aggregator, names=_NAMES
    )
    return found
