"""A servable tried out: what it answers, and whether the model agrees."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from numpy.typing import NDArray

from keras_selfaux._checks import error
from keras_selfaux.export._difference import largest_difference
from keras_selfaux.export._inputs import Batch
from keras_selfaux.export._warmup import Request

Answers = dict[str, Any]


class Trial(NamedTuple):
    """A request, and what the model is asked to compare.

    Attributes:
        request: What is sent.
        batch: Arrays by the names of the model's inputs.
    """

    request: Request
    batch: Batch


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
    model: keras.Model,
    specs: Any,
    trials: Sequence[Trial],
    answers: Sequence[Answers],
) -> float:
    """Returns the largest difference between a model and its servable.

    Args:
        model: The model itself, not what was exported of it.
        specs: Its inputs, as `tf.TensorSpec`.
        trials: What was asked.
        answers: What the servable answered.
    """
    # Calling a model of many tasks takes longer than all else.
    known: dict[Any, Answers] = {}
    wanted, found = [], []
    for (_, batch), answer in zip(trials, answers, strict=True):
        key = tuple((name, _content(a)) for name, a in sorted(batch.items()))
        if key not in known:
            inputs = [
                tf.constant(batch[spec.name], spec.dtype)
                for spec in tf.nest.flatten(specs)
            ]
            known[key] = model(
                tf.nest.pack_sequence_as(specs, inputs), training=False
            )
        # Signatures of a user's own may have outputs of their own.
        tasks = known[key].keys() & answer.keys()
        wanted.append({task: known[key][task].numpy() for task in tasks})
        found.append({task: answer[task] for task in tasks})
    return largest_difference(found, wanted)


def _content(array: NDArray[Any]) -> Any:
    """Returns what tells arrays apart."""
    is_text = array.dtype == object
    values = tuple(array.ravel()) if is_text else array.tobytes()
    return array.shape, values
