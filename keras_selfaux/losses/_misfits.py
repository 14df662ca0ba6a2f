"""Errors that say which task's labels a loss cannot compare."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_selfaux._checks import (
    UsageError,
    add_note,
    error,
    is_misfit,
    is_users_own,
)
from keras_selfaux._types import Task, Tensor


@contextlib.contextmanager
def named_misfits(
    task: Task,
    loss: keras.losses.Loss,
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None = None,
) -> Iterator[None]:
    """Tells of labels that do not fit predictions, whatever finds out.

    Args:
        task: The task whose loss is computed within the context.
        loss: The loss.
        y_true: Labels of shape `(N, batch, ...)`.
        y_pred: Predictions of shape `(N, batch, ...)`.
        sample_weight: Weights of shape `(N, batch, ...)`. Defaults to none.

    Raises:
        ValueError: If numbers of samples differ, or if a loss of Keras's or
            this package's fails. One that the user wrote raises its own
            error, with a note that names the task.
    """
    given = {"label": y_true, "sample weight": sample_weight}
    for name, values in given.items():
        if values is not None and _lengths_differ(values, y_pred):
            raise error(
                f"Task {task!r} must have a {name} for every sample.",
                received=f"{values.shape[1]} for {y_pred.shape[1]} samples",
                remedy="Pass as many as inputs, NaN or weight 0 where a label "
                "is missing.",
            )
    try:
        yield
    except UsageError:
        raise
    except Exception as problem:
        if not (is_users_own(loss) or is_misfit(problem)):
            raise
        weights = ""
        if sample_weight is not None:
            weights = f", sample weights of shape {_shape(sample_weight)}"
        compared = (
            f"labels of shape {_shape(y_true)} and dtype {_dtype(y_true)}, "
            f"predictions of shape {_shape(y_pred)}{weights}"
        )
        if is_users_own(loss):
            add_note(problem, f"In the loss of task {task!r}, for {compared}.")
            raise
        raise error(
            f"The loss of task {task!r} cannot compare labels with "
            "predictions.",
            received=f"{compared} ({type(problem).__name__}: {problem})",
            remedy="Pass labels of the form that the loss wants, or another "
            "loss or head.",
        ) from problem


def _lengths_differ(values: Tensor, predictions: Tensor) -> bool:
    if len(values.shape) < 2 or len(predictions.shape) < 2:
        return False
    found, wanted = values.shape[1], predictions.shape[1]
    return found is not None and wanted is not None and found != wanted


def _shape(values: Tensor) -> tuple[Any, ...]:
    # The first axis is for tasks that are computed at once.
    return tuple(values.shape[1:])


def _dtype(values: Tensor) -> str:
    return str(getattr(values.dtype, "name", values.dtype))
