"""`mlp_stages`: dense layers, one per stage."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_selfaux._checks import check_count, error
from keras_selfaux._types import Layer


def mlp_stages(
    units: Sequence[int] = (32, 32, 32),
    activation: str | Callable[..., Any] | None = "relu",
) -> list[Layer]:
    """Returns dense layers as stages for a `layers.BranchedEncoder`.

    Args:
        units: Number of units of each layer. Defaults to `(32, 32, 32)`.
        activation: The activation of all layers, as for
            `keras.layers.Dense`. Defaults to `"relu"`.

    Returns:
        A list of `len(units)` layers, from inputs `(batch, ..., features)`
        to features `(batch, ..., units[-1])`.

    Example:

    >>> encoder = keras_selfaux.layers.BranchedEncoder(
    ...     keras_selfaux.architectures.mlp_stages((64, 16)),
    ...     paths=1,
    ...     tasks=["left", "right"],
    ... )
    >>> encoder(np.ones((5, 8)))["left"].shape
    TensorShape([5, 16])

    Raises:
        ValueError: If there are no units, or if one of the numbers is not
            a positive integer.
    """
    if isinstance(units, int) or not units:
        raise error(
            "`units` must give the number of units of each layer.",
            received=f"units={units!r}",
            remedy="Pass positive integers, such as (32, 32).",
        )
    for count in units:
        check_count("units", count, least=1)
    return [keras.layers.Dense(count, activation) for count in units]
