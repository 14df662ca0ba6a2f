"""A servable tried out: what it answers, and whether the model agrees."""

import pathlib
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux.export._difference import (
    largest_difference,
    rounding_tolerance,
)
from keras_selfaux.export._full_precision import lowest_precision
from keras_selfaux.export._inputs import input_specs
from keras_selfaux.export._warmup import Request

Answers = dict[str, Any]


def check_against_model(
    folder: pathlib.Path, plain: keras.Model, requests: list[Request]
) -> None:
    """Raises unless a servable answers as its model does.

    Args:
        folder: Of the SavedModel.
        plain: The model.
        requests: What to ask.

    Raises:
        ValueError: If it does not.
    """
    difference = difference_from_model(
        plain, requests, answers_of(folder, requests)
    )
    tolerance = rounding_tolerance(lowest_precision(plain))
    check_alike(folder, "the model", difference, tolerance)


def answers_of(folder: pathlib.Path, requests: list[Request]) -> list[Answers]:
    """Returns what TensorFlow's Python loader makes of requests."""
    try:
        loaded = tf.saved_model.load(str(folder))
        return [
            {
                name: tensor.numpy()
                for name, tensor in loaded.signatures[signature](
                    **{n: tf.constant(v) for n, v in inputs.items()}
                ).items()
            }
            for signature, inputs in requests
        ]
    except Exception as problem:  # whatever damaged files lead to
        raise error(
            f"The servable '{folder}' cannot be loaded or run.",
            received=f"{problem}",
            remedy="Export the model again; a server would refuse this one.",
        ) from problem


def check_alike(
    folder: pathlib.Path, other: str, difference: float, tolerance: float
) -> None:
    """Raises if a servable answers otherwise than something else does."""
    if not difference <= tolerance:
        raise error(
            f"The servable '{folder}' and {other} answer differently.",
            received=f"a difference of {difference:.2g}, more than the "
            f"tolerance {tolerance:g}",
            remedy="Do not serve it; export the model as it is now.",
        )


def difference_from_model(
    plain: keras.Model, requests: list[Request], answers: list[Answers]
) -> float:
    """Returns the largest difference between a model and its servable."""
    structure = input_specs(plain)
    names = [spec.name for spec in tf.nest.flatten(structure)]
    wanted, found = [], []
    for (_, inputs), answer in zip(requests, answers, strict=True):
        if {*inputs} != {*names}:  # encoded images, say
            continue
        flat = [tf.constant(inputs[name]) for name in names]
        batch = tf.nest.pack_sequence_as(structure, flat)
        predicted = plain(batch, training=False)
        wanted.append({task: predicted[task].numpy() for task in answer})
        found.append(answer)
    return largest_difference(found, wanted)
