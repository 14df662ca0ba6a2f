"""The kinds of layers that stack, and how each runs as one product.

A stacked layer holds the weights of N equal layers with a leading axis of
length N. It is called with `inputs` of shape `(G, batch, ...)` and a
`table` of G rows of K modules: row g lists the modules that read input g.
The result has shape `(G * K, batch, ...)`, row by row.

A new kind is one file here, one line in `_KINDS` and one row in the tests'
table of layers.
"""

import keras

from keras_selfaux._stacking._kinds._base import StackedLayer
from keras_selfaux._stacking._kinds._batch_normalization import (
    StackedBatchNormalization,
)
from keras_selfaux._stacking._kinds._dense import StackedDense
from keras_selfaux._stacking._kinds._einsum_dense import StackedEinsumDense
from keras_selfaux._stacking._kinds._group_normalization import (
    StackedGroupNormalization,
)
from keras_selfaux._stacking._kinds._layer_normalization import (
    StackedLayerNormalization,
)
from keras_selfaux._stacking._kinds._plain import special_setting
from keras_selfaux._stacking._kinds._pointwise import StackedPointwise
from keras_selfaux._stacking._kinds._prelu import StackedPReLU
from keras_selfaux._stacking._kinds._rms_normalization import (
    StackedRMSNormalization,
)
from keras_selfaux._stacking._kinds._table import (
    AnyTable,
    Beside,
    PerSample,
    lay_out,
)
from keras_selfaux._stacking._kinds._weightless import (
    WEIGHTLESS,
    is_random,
    weightless_obstacle,
)
from keras_selfaux._types import Layer

__all__ = [
    "AnyTable",
    "Beside",
    "PerSample",
    "StackedLayer",
    "folds",
    "is_random",
    "lay_out",
    "obstacle",
    "stacked_kind",
]

_KINDS: dict[type, type[StackedLayer]] = {
    keras.layers.BatchNormalization: StackedBatchNormalization,
    keras.layers.Conv1D: StackedPointwise,
    keras.layers.Conv2D: StackedPointwise,
    keras.layers.Conv3D: StackedPointwise,
    keras.layers.Dense: StackedDense,
    keras.layers.EinsumDense: StackedEinsumDense,
    keras.layers.GroupNormalization: StackedGroupNormalization,
    keras.layers.LayerNormalization: StackedLayerNormalization,
    keras.layers.PReLU: StackedPReLU,
    keras.layers.RMSNormalization: StackedRMSNormalization,
}


def stacked_kind(layer: Layer) -> type[StackedLayer] | None:
    """Returns the class that runs copies of `layer` as one, if there is one.

    Args:
        layer: A Keras layer. Subclasses of Keras's layers do not stack: they
            may compute anything.
    """
    return None if obstacle(layer) else _KINDS.get(type(layer))


def folds(layer: Layer) -> bool:
    """Says whether a layer has no weights and treats every sample alone."""
    return type(layer) in WEIGHTLESS and obstacle(layer) is None


def obstacle(layer: Layer) -> str | None:
    """Returns what keeps copies of a layer from running as one, if anything.

    Args:
        layer: A Keras layer that is not a `Sequential`.
    """
    if isinstance(layer, keras.Model):
        return "a model that is not Sequential"
    name = type(layer).__name__
    kind = _KINDS.get(type(layer))
    if kind is not None:
        found = special_setting(layer) or kind.obstacle(layer)
    elif type(layer) in WEIGHTLESS:
        found = special_setting(layer) or weightless_obstacle(layer)
    else:
        return f"{name} does not stack"
    return None if found is None else f"{name} with {found} does not stack"
