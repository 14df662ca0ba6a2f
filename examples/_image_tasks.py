"""Tasks on images: how each is learned judged and shown."""

from collections.abc import Callable

import keras

from keras_selfaux import losses, metrics
from keras_selfaux.architectures import attribute_head
from keras_selfaux.datasets import pipeline

if __package__:
    from examples._problem import TaskSpec
else:
    from _problem import TaskSpec

Head = Callable[[int], keras.layers.Layer]
"""Makes a head with this number of outputs."""

ANGLES = (11.25, 22.5, 30.0)


def segmentation(head: Head, num_classes: int) -> TaskSpec:
    """Returns how to find the class of every pixel."""
    ignored = pipeline.MISSING_CLASS
    return TaskSpec(
        head=lambda: head(num_classes),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=ignored
        ),
        scores={"mean_iou": True, "pixel_accuracy": True},
        metrics=lambda: [
            metrics.MeanIoU(num_classes, ignore_class=ignored),
            keras.metrics.SparseCategoricalAccuracy("pixel_accuracy"),
        ],
        picture="classes",
    )


def distance(head: Head, kind: str = "depth") -> TaskSpec:
    """Returns how to find the depth or disparity of every pixel."""
    return TaskSpec(
        head=lambda: head(1),
        loss="mae",
        scores={"absolute_error": False, "relative_error": False},
        metrics=lambda: [
            keras.metrics.MeanAbsoluteError("absolute_error"),
            metrics.MeanRelativeError("relative_error"),
        ],
        picture=kind,
    )


def normals(head: Head) -> TaskSpec:
    """Returns how to find the surface normal at every pixel."""
    return TaskSpec(
        head=lambda: head(3),
        loss=losses.CosineDistance(),
        scores={
            "mean_angle": False,
            "median_angle": False,
            **{f"within_{degrees:g}": True for degrees in ANGLES},
        },
        metrics=lambda: [
            metrics.MeanAngle(),
            metrics.MedianAngle(),
            *(metrics.WithinAngle(degrees) for degrees in ANGLES),
        ],
        picture="normals",
    )


def attribute() -> TaskSpec:
    """Returns how to tell whether an image has an attribute."""
    return TaskSpec(
        head=attribute_head,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        scores={"accuracy": True},
        metrics=lambda: [keras.metrics.BinaryAccuracy("accuracy", threshold=0)],
        picture="attribute",
    )
