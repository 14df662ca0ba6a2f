"""Tells weightings and aggregators when an epoch of `fit` ends."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_selfaux._rule import Rule


class EpochEnds(keras.callbacks.Callback):
    """Calls `on_epoch_end` of the rules before any other callback acts.

    Args:
        rules: Weightings and aggregators.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__()
        self._rules = list(rules)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hands the call on."""
        for rule in self._rules:
            rule.on_epoch_end()


def with_epoch_ends(callbacks: Any, rules: Sequence[Rule | None]) -> Any:
    """Returns the callbacks of `fit`, first of all one for the rules.

    Args:
        callbacks: What `fit` was given: a callback, a list, a
            `keras.callbacks.CallbackList` or `None`.
        rules: Weightings and aggregators, `None` for none.
    """
    listening = [
        rule
        for rule in rules
        if rule is not None and type(rule).on_epoch_end is not Rule.on_epoch_end
    ]
    if not listening:
        return callbacks
    first = EpochEnds(listening)
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # A list may come again, for another `fit`.
        callbacks.callbacks = [
            first,
            *(c for c in callbacks.callbacks if not isinstance(c, EpochEnds)),
        ]
        return callbacks
    return [first, *keras.tree.flatten(callbacks or [])]
