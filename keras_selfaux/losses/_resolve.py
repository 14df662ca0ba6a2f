"""From what a user passes to `compile` to a `keras.losses.Loss`."""

from collections.abc import Callable
from typing import Any

import keras

from keras_selfaux._checks import error, is_damage
from keras_selfaux._registry import register
from keras_selfaux._types import Task, Tensor

_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")


@register
class FunctionLoss(keras.losses.Loss):
    """Makes a loss of a function `fn(y_true, y_pred) -> values`."""

    def __init__(self, fn: Callable[..., Tensor], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fn = fn

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the function's values, one per sample or position."""
        return self.fn(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, with the function serialised."""
        fn = keras.saving.serialize_keras_object(self.fn)
        return {**super().get_config(), "fn": fn}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FunctionLoss":
        """Returns the loss that `get_config` described."""
        fn = keras.saving.deserialize_keras_object(config["fn"])
        return cls(**{**config, "fn": fn})


def loss_for_task(identifier: Any, task: Task) -> keras.losses.Loss:
    """Resolves one task's loss.

    Args:
        identifier: A name, a config dict, a function or a `Loss`.
        task: The task's name, for messages.

    Raises:
        ValueError: If there is no such loss, if its reduction leaves
            nothing to weight, or if it does not treat samples alone.
    """
    try:
        loss = keras.losses.get(identifier)
    except Exception as problem:
        if not is_damage(problem):
            raise
        raise _unusable(identifier, task, str(problem)) from problem
    if loss is None or not callable(loss):
        raise _unusable(identifier, task, repr(loss))
    if not isinstance(loss, keras.losses.Loss):
        loss = FunctionLoss(loss, name=getattr(loss, "__name__", None))
    if isinstance(loss, keras.losses.Circle):
        received = "a loss that compares the samples of a batch"
        raise _unusable(identifier, task, received)
    if loss.reduction not in _REDUCTIONS:
        raise _unusable(identifier, task, f"reduction={loss.reduction!r}")
    return loss


def _unusable(identifier: Any, task: Task, received: str) -> ValueError:
    return error(
        f"`loss` of task {task!r} cannot be used: {identifier!r}.",
        received=received,
        remedy="Pass a Keras loss, its name or a function, reduced by one "
        f"of {list(_REDUCTIONS)}.",
    )
