"""Rules that set the task weights: how much the loss of each edge counts.

A weighting maps the vector of losses to the vector of weights ω. It works
in float32 whatever the dtype policy, and it keeps its own state, which is
saved with the model like an optimizer's.

| name            | class        | source                                  |
|-----------------|--------------|-----------------------------------------|
| `"equal"`       | `Equal`      |                                         |
|                 | `Static`     |                                         |
| `"auto_lambda"` | `AutoLambda` | Liu et al., 2022 (arXiv 2202.03091)     |

Each takes `normalize="branch"`, which divides the weights on one branch by
their sum.

>>> keras_selfaux.weightings.get("auto_lambda").name
'auto_lambda'
"""

from typing import Any

import keras

from keras_selfaux._registry import resolve
from keras_selfaux.weightings._auto_lambda import AutoLambda
from keras_selfaux.weightings._base import Weighting
from keras_selfaux.weightings._equal import Equal
from keras_selfaux.weightings._static import Static

__all__ = [
    "AutoLambda",
    "Equal",
    "Static",
    "Weighting",
    "deserialize",
    "get",
    "serialize",
]

_NAMES = {"equal": Equal, "auto_lambda": AutoLambda}


def get(identifier: Any) -> Weighting:
    """Returns a weighting from a name, a config dict or an instance.

    Args:
        identifier: `"equal"`, `"auto_lambda"`, a dict made by `serialize`,
            or a `Weighting`.

    Raises:
        ValueError: If there is no such weighting.
    """
    found: Weighting = resolve(
        identifier, argument="weighting", base=Weighting, names=_NAMES
    )
    return found


def serialize(weighting: Weighting) -> dict[str, Any]:
    """Returns a weighting's config dict, without its state."""
    config: dict[str, Any] = keras.saving.serialize_keras_object(weighting)
    return config


def deserialize(config: dict[str, Any]) -> Weighting:
    """Returns the weighting that `serialize` described."""
    return get(config)
