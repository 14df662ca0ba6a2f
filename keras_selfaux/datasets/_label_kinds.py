"""The kinds of labels that a pipeline knows, and how they are missing."""

from collections.abc import Mapping

import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux._types import Task, Tensor

MISSING_CLASS = 255
"""The class number of pixels without a label."""

PIXEL_KINDS = {
    "classes": MISSING_CLASS,
    "depth": 0,
    "disparity": 0,
    "normals": 0,
}
"""Kinds of labels with one for every pixel, and how data files mark the
missing ones."""

KINDS = (*PIXEL_KINDS, "attribute", "value")


def check_kinds(labels: Mapping[Task, str]) -> None:
    """Raises unless there are labels, each of a kind that is known."""
    if not labels:
        raise error(
            "`labels` must name at least one label.",
            received="labels={}",
            remedy="Pass a dict such as {'seg': 'classes', 'depth': 'depth'}.",
        )
    for task, kind in labels.items():
        if kind not in KINDS:
            raise error(
                f"The kind of label {task!r} must be one of {list(KINDS)}.",
                received=f"{kind!r}",
                remedy="Pass one of these.",
            )


def as_label(value: Tensor, kind: str) -> Tensor:
    """Returns a label as losses want it: NaN, or 255 for classes, if missing.

    Args:
        value: A label as data files have it.
        kind: Its kind.
    """
    if kind == "classes":
        return tf.cast(value, tf.int32)
    if kind == "attribute":  # one number: a prediction has an axis for it
        return tf.cast(tf.reshape(value, (1,)), tf.float32)
    value = tf.cast(value, tf.float32)
    if kind == "value":
        return value
    is_missing = tf.reduce_all(value == 0, axis=-1, keepdims=True)
    return tf.where(is_missing, tf.constant(float("nan")), value)
