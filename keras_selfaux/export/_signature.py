"""A way to call a servable."""

import abc
import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_selfaux._checks import error
from keras_selfaux._types import Tensor
from keras_selfaux.export._inputs import Batch

Endpoint = tuple[Callable[[Tensor], dict[str, Tensor]], list[Any]]
"""A function, and the `tf.TensorSpec` of its argument."""


class Signature(abc.ABC):
    """A way to call a servable, beside the one with the model's own inputs.

    Args:
        name: What clients call it.

    Raises:
        ValueError: If `name` is no string.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise error(
                "`name` of a signature must be a string.",
                received=f"name={name!r:.100}",
                remedy='Pass, say, "image_bytes".',
            )
        self.name = name

    @abc.abstractmethod
    def endpoint(self, model: keras.Model, specs: Any) -> Endpoint:
        """Returns what is called, and with what.

        Args:
            model: The model, which gives `{task: prediction}`.
            specs: Its inputs, as `tf.TensorSpec`.

        Raises:
            ValueError: If it does not fit the model.
        """

    @abc.abstractmethod
    def request(self, batch: Batch, specs: Any) -> tuple[Batch, Batch]:
        """Returns what a client would send for a batch of inputs.

        Args:
            batch: Arrays by the names of the model's inputs.
            specs: The model's inputs, as `tf.TensorSpec`.

        Returns:
            Arrays by the names of the signature's inputs, and what the model
            is given then, by the names of its own.
        """


def plain_endpoint(model: keras.Model, specs: Any) -> Endpoint:
    """Returns what calls a model with its own inputs."""
    return functools.partial(model.__call__, training=False), [specs]
