"""The ways to train that the runners compare."""

import dataclasses
from typing import Any

import keras_selfaux

ENUMERATED = "enumerated"
"""Stands for the graph that an enumeration finds."""

BASELINE = "stl"


@dataclasses.dataclass(frozen=True)
class Method:
    """What tells one way to train from another.

    Attributes:
        paths: How many of the encoder's stages the tasks share, or `"half"`.
        auxiliaries: `"all"`, `"none"`, `"enumerated"` or a `TransferGraph`.
        weighting: The rule for task weights, a name or a config.
        aggregator: The rule for conflicting gradients, if any.
    """

    paths: int | str = "half"
    auxiliaries: str | keras_selfaux.TransferGraph = "none"
    weighting: str | dict[str, Any] = "equal"
    aggregator: str | None = None


# The optimizers that the runners take treat every weight alone, so that
# networks which share nothing train together as they would one by one.
SINGLE_TASK = Method(paths=0)
MULTI_TASK = Method()

METHODS = {
    BASELINE: SINGLE_TASK,
    "mtl": MULTI_TASK,
    "uncertainty": Method(weighting="uncertainty"),
    "dwa": Method(weighting="dwa"),
    "auto_lambda": Method(weighting="auto_lambda"),
    "grad_drop": Method(aggregator="grad_drop"),
    "pcgrad": Method(aggregator="pcgrad"),
    "cagrad": Method(aggregator="cagrad"),
    "saal_e": Method(auxiliaries=ENUMERATED),
    "saal_w": Method(auxiliaries="all", weighting="auto_lambda"),
    "saal_ew": Method(
        auxiliaries=ENUMERATED,
        weighting={
            "class_name": "AutoLambda",
            "config": {"normalize": "branch"},
        },
    ),
}
