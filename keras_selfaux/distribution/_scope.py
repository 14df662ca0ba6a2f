"""What has to be made in the scope of a strategy."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import error


def check_created_in_scope(
    variables: Iterable[Any], strategy: tf.distribute.Strategy
) -> None:
    """Raises unless variables are those of a strategy's replicas.

    Args:
        variables: Keras variables.
        strategy: The model's strategy.

    Raises:
        ValueError: If some were made outside of `strategy.scope()`.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    is_known = strategy.extended.variable_created_in_scope
    strangers = [v.path for v in variables if not is_known(v.value)]
    if strangers:
        raise error(
            "All of a model that several replicas train is made in "
            "`strategy.scope()`.",
            received=f"{len(strangers)} variables made elsewhere, such as "
            f"'{strangers[0]}'",
            remedy="Make the encoder in the scope, or a copy of it by "
            "`keras.models.clone_model`.",
        )
