"""Takes back what a step did to variables, wherever it moved them.

Replicas cannot communicate inside a condition, and on a GPU a condition
makes Python wait. So a step is taken in full, and undone by a selection.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_selfaux._types import Tensor
from keras_selfaux.distribution import num_replicas


class Snapshot:
    """The values that variables have when it is made.

    Args:
        variables: Keras variables; any of them may come more than once.
    """

    def __init__(self, variables: Iterable[Any]) -> None:
        self._variables = list({id(v): v for v in variables}.values())
        self._values = [tf.identity(v.value) for v in self._variables]

    def restore_unless(self, condition: Tensor) -> None:
        """Gives the variables these values again unless the condition holds.

        Args:
            condition: Bool scalar, the same on every replica.
        """
        values = [
            tf.where(condition, v.value, before)
            for v, before in zip(self._variables, self._values, strict=True)
        ]
        assign(self._variables, values)


def assign(variables: Sequence[Any], values: Sequence[Tensor]) -> None:
    """Sets variables, under a strategy every replica's copy for itself.

    Args:
        variables: Keras variables.
        values: A tensor for each.
    """
    plain = [v.value for v in variables]
    if num_replicas() == 1:
        _assign(plain, values)
        return
    # Each replica has its own copy, which an assignment by all of them
    # would replace by an average.
    tf.__internal__.distribute.interim.maybe_merge_call(
        _assign_copies, tf.distribute.get_strategy(), plain, values
    )


def _assign(variables: Sequence[Any], values: Sequence[Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _assign_copies(
    strategy: Any, variables: Sequence[Any], values: Sequence[Any]
) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(
            variable, lambda v, new: v.assign(new), args=(value,), group=False
        )
