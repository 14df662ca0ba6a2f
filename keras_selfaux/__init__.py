"""Multi-task networks whose tasks learn from each other in one direction.

>>> model = keras_selfaux.SelfAuxModel(encoder, heads, auxiliaries="all")
>>> model.compile("adam", loss="mse", weighting="auto_lambda")
>>> model.fit(train, validation_data=val, meta_data=val)
>>> export.write_servable(model, "saved_models/my_model")  # no clones

`SelfAuxModel` is the model, `TransferGraph` says which task teaches which,
`weightings` holds the rules for task weights, `aggregators` those for
conflicting gradients, `layers` the parts of a branching network, and
`architectures` whole ones; `export` hands the result to those who serve it.
"""

from keras_selfaux import (
    aggregators,
    architectures,
    callbacks,
    discovery,
    export,
    layers,
    losses,
    metrics,
    weightings,
)
from keras_selfaux._labels import SingleTaskLabels
from keras_selfaux._version import __version__
from keras_selfaux.graph import TransferGraph
from keras_selfaux.model import SelfAuxModel

__all__ = [
    "SelfAuxModel",
    "SingleTaskLabels",
    "TransferGraph",
    "__version__",
    "aggregators",
    "architectures",
    "callbacks",
    "discovery",
    "export",
    "layers",
    "losses",
    "metrics",
    "weightings",
]
