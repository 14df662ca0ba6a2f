"""Whether a servable is one of a model."""

import pathlib
from typing import Any

import keras
import tensorflow as tf

from keras_selfaux._checks import error
from keras_selfaux.export._content import Content
from keras_selfaux.export._inputs import input_specs
from keras_selfaux.export._plain import num_products, plain_model
from keras_selfaux.export._saved_model import DEFAULT_SIGNATURE

_REMEDY = "Export the model as it is now."


def check_model_fits(
    folder: pathlib.Path,
    model: keras.Model,
    specs: dict[str, Any],
    found: Content,
) -> Any:
    """Raises unless a servable has a model's tasks, inputs and size.

    Args:
        folder: Of the SavedModel.
        model: The model.
        specs: The servable's signatures, as `signature_specs` returns them.
        found: What is in the servable.

    Returns:
        The model's inputs, as `tf.TensorSpec`.

    Raises:
        ValueError: If it does not fit.
    """
    plain = plain_model(model)
    default = specs[DEFAULT_SIGNATURE]
    tasks = list(default["outputs"])  # maybe not all
    if not {*tasks} <= {*plain.output}:
        raise error(
            f"The servable '{folder}' is not of this model.",
            received=f"tasks {tasks}, where the model has {list(plain.output)}",
            remedy=_REMEDY,
        )
    inputs = input_specs(plain)
    wanted = {spec.name: spec for spec in tf.nest.flatten(inputs)}
    if {*wanted} != {*default["inputs"]} or not all(
        spec.dtype.name == default["inputs"][name]["dtype"]
        and spec.shape.is_compatible_with(default["inputs"][name]["shape"])
        for name, spec in wanted.items()
    ):
        raise error(
            f"The servable '{folder}' is not of this model.",
            received=f"inputs {default['inputs']}, where the model has "
            f"{list(wanted.values())}",
            remedy=_REMEDY,
        )
    plain = plain_model(plain, tasks)
    sizes = {
        "parameters": (found.parameters, plain.count_params()),
        "matrix products and convolutions": (
            found.products,
            num_products(plain),
        ),
    }
    for name, (ours, theirs) in sizes.items():
        if ours > theirs:
            raise error(
                f"The servable '{folder}' must have no more {name} than the "
                "model without what only training needs.",
                received=f"{ours:,} {name}, where the model has {theirs:,}",
                remedy=_REMEDY,
            )
    return inputs
