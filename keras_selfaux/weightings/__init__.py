"""Rules that set the task weights: how much the loss of each edge counts.

A weighting maps the vector of losses to the vector of weights ω. It works
in float32 whatever the dtype policy, and it keeps its own state, which is
saved with the model like an optimizer's.

| class                  | names                             | source      |
|------------------------|-----------------------------------|-------------|
| `Equal`                | `"equal"`                         |             |
| `Static`               |                                   |             |
| `Uncertainty`          | `"uncertainty"`, `"uw"`           | 1705.07115  |
| `ImpartialLoss`        | `"impartial_loss"`, `"imtl_l"`    | IMPnRXEWpvr |
| `DynamicWeightAverage` | `"dynamic_weight_average"`,       | 1803.10704  |
|                        | `"dwa"`                           |             |
| `RandomLossWeighting`  | `"random_loss_weighting"`,        | 2111.10603  |
|                        | `"rlw"`                           |             |
| `GeometricLoss`        | `"geometric_loss"`, `"gls"`       | 1904.08492  |
| `SmoothTchebycheff`    | `"smooth_tchebycheff"`, `"stch"`  | 2402.19078  |
| `FAMO`                 | `"famo"`                          | 2306.03792  |
| `GradNorm`             | `"grad_norm"`                     | 1711.02257  |
| `ExcessMTL`            | `"excess_mtl"`                    | 2402.02009  |
| `AutoLambda`           | `"auto_lambda"`                   | 2202.03091  |

Sources are on arXiv, the one of `ImpartialLoss` on OpenReview. `FAMO` takes
a second forward pass per step, `GradNorm` and `ExcessMTL` a gradient per
task, `AutoLambda` a meta batch; the others cost next to nothing.

Each, but for `GradNorm` and `ExcessMTL`, takes `normalize="branch"`, which
divides the weights on one branch by their sum.

>>> keras_selfaux.weightings.get("dwa").name
'dynamic_weight_average'
"""

from typing import Any

import keras

from keras_selfaux._registry import resolve
from keras_selfaux.weightings._auto_lambda import AutoLambda
from keras_selfaux.weightings._base import Weighting
from keras_selfaux.weightings._dynamic_weight_average import (
    DynamicWeightAverage,
)
from keras_selfaux.weightings._equal import Equal
from keras_selfaux.weightings._excess_mtl import ExcessMTL
from keras_selfaux.weightings._famo import FAMO
from keras_selfaux.weightings._geometric_loss import GeometricLoss
from keras_selfaux.weightings._grad_norm import GradNorm
from keras_selfaux.weightings._impartial_loss import ImpartialLoss
from keras_selfaux.weightings._random_loss_weighting import RandomLossWeighting
from keras_selfaux.weightings._smooth_tchebycheff import SmoothTchebycheff
from keras_selfaux.weightings._static import Static
from keras_selfaux.weightings._uncertainty import Uncertainty

__all__ = [
    "FAMO",
    "AutoLambda",
    "DynamicWeightAverage",
    "Equal",
    "ExcessMTL",
    "GeometricLoss",
    "GradNorm",
    "ImpartialLoss",
    "RandomLossWeighting",
    "SmoothTchebycheff",
    "Static",
    "Uncertainty",
    "Weighting",
    "deserialize",
    "get",
    "serialize",
]

_NAMES = {
    "auto_lambda": AutoLambda,
    "dynamic_weight_average": DynamicWeightAverage,
    "equal": Equal,
    "excess_mtl": ExcessMTL,
    "famo": FAMO,
    "geometric_loss": GeometricLoss,
    "grad_norm": GradNorm,
    "impartial_loss": ImpartialLoss,
    "random_loss_weighting": RandomLossWeighting,
    "smooth_tchebycheff": SmoothTchebycheff,
    "uncertainty": Uncertainty,
    # What papers call them.
    "dwa": DynamicWeightAverage,
    "gls": GeometricLoss,
    "imtl_l": ImpartialLoss,
    "rlw": RandomLossWeighting,
    "stch": SmoothTchebycheff,
    "uw": Uncertainty,
}


def get(identifier: Any) -> Weighting:
    """Returns a weighting from a name, a config dict or an instance.

    Args:
        identifier: A name such as `"equal"` or `"uncertainty"`, a dict made
            by `serialize`, or a `Weighting`.

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
