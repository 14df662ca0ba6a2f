"""What an exported model's inputs are called, and examples of them."""

import keyword
import re
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.exceptions import ComplexWarning

from keras_selfaux._checks import error, shown

Batch = dict[str, Any]
"""One array per input, by the input's name."""

_BATCH_SIZE = 32
# The second is what an input without name is called in a model that was loaded.
_NAME_BY_KERAS = re.compile(r"(keras_tensor|input_layer)(_\d+)?")
_VALID_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")


def input_specs(model: keras.Model) -> Any:
    """Returns what a functional model takes, under names that stay.

    Keras numbers inputs that have no name through the whole process, so that
    their names would differ from one export to the next.

    Args:
        model: A functional model. Its inputs are one tensor, or a list or dict
            of tensors.

    Returns:
        Tensor specs in the structure of the inputs. Those of a dict have its
        keys as names. Any other input has the name that `keras.Input` was
        given, or else is called `inputs` or, in a list, `inputs_0`,
        `inputs_1`, ….

    Raises:
        ValueError: If inputs are nested more than once, or a name comes twice
            or cannot be an argument's name.
    """
    inputs = model.input
    names = inputs
    if isinstance(inputs, dict):
        names = {name: name for name in inputs}
    elif isinstance(inputs, list | tuple):
        names = [_own_name(x, f"inputs_{i}") for i, x in enumerate(inputs)]
    else:
        names = _own_name(inputs, "inputs")
    flat, tensors = keras.tree.flatten(names), keras.tree.flatten(inputs)
    if len(flat) != len(tensors):
        raise error(
            "Inputs of an exported model must be one tensor, or a list or dict "
            "of tensors.",
            received=f"{len(tensors)} tensors within {type(inputs).__name__}",
            remedy="Give every tensor a place of its own.",
        )
    if len(set(flat)) < len(flat) or not all(map(_is_valid, flat)):
        raise error(
            "Inputs of an exported model must each have a name of their own "
            "that starts with a letter, has letters, digits and `_` alone, and "
            "means nothing in Python.",
            received=f"inputs {flat}",
            remedy="Name them by a dict of inputs, or as in "
            "`keras.Input((8,), name='image')`.",
        )
    return keras.tree.pack_sequence_as(names, list(map(_spec, tensors, flat)))


def _own_name(tensor: Any, otherwise: Any) -> Any:
    name = getattr(tensor, "name", "")
    return otherwise if _NAME_BY_KERAS.fullmatch(name) else name


def _is_valid(name: Any) -> bool:
    # TensorFlow's functions have a `self` of their own.
    return (
        isinstance(name, str)
        and _VALID_NAME.fullmatch(name) is not None
        and not keyword.iskeyword(name)
        and name != "self"
    )


def _spec(tensor: Any, name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name)


def batches_of(examples: Any, specs: Any) -> list[Batch]:
    """Returns examples as batches.

    Args:
        examples: Inputs in the structure of `specs`: arrays with one row per
            example, or a `tf.data.Dataset` of such batches.
        specs: What `input_specs` returned.

    Raises:
        ValueError: If there are none, they differ in number, or one does not
            fit its spec.
    """
    if isinstance(examples, tf.data.Dataset):
        if examples.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise error(
                "`examples` must come to an end.",
                received="a data set that repeats itself",
                remedy="Take some of them: `examples.take(10)`.",
            )
        elements = examples.as_numpy_iterator()
        found = [_by_name(element, specs) for element in elements]
    else:
        found = list(_split(_by_name(examples, specs)))
    if not (filled := [batch for batch in found if _rows(batch)]):
        raise _no_examples()
    return filled


def as_batch(examples: Any, specs: Any) -> Batch:
    """Returns examples as one batch.

    Args:
        examples: Inputs in the structure of `specs`: arrays with one row per
            example, or a `tf.data.Dataset` of such batches, of which the
            first is taken.
        specs: What `input_specs` returned.

    Raises:
        ValueError: If there are none, or they do not fit, as in `batches_of`.
    """
    if isinstance(examples, tf.data.Dataset):
        return batches_of(examples.take(1), specs)[0]
    batch = _by_name(examples, specs)
    if not _rows(batch):
        raise _no_examples()
    return batch


def _no_examples() -> ValueError:
    return error(
        "`examples` must hold at least one example.",
        received="none",
        remedy="Pass inputs such as those of the validation data.",
    )


def _rows(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _split(arrays: Batch) -> Iterator[Batch]:
    for start in range(0, _rows(arrays), _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        yield {name: array[part] for name, array in arrays.items()}


def _by_name(inputs: Any, specs: Any) -> Batch:
    if isinstance(specs, list) and isinstance(inputs, tuple):
        inputs = list(inputs)  # A data set has no lists.
    try:
        keras.tree.assert_same_structure(specs, inputs)
    except (TypeError, ValueError) as cause:
        wanted = keras.tree.map_structure(lambda spec: spec.name, specs)
        raise error(
            "`examples` must have the structure of the model's inputs.",
            received=_describe(inputs),
            remedy=f"Pass arrays in the structure {wanted!r}, without labels.",
        ) from cause
    arrays = {}
    for spec, given in zip(
        keras.tree.flatten(specs), keras.tree.flatten(inputs), strict=True
    ):
        array = _array(spec, given)
        if not spec.shape.is_compatible_with(array.shape):
            raise error(
                f"`examples` of input {spec.name!r} must be of shape "
                f"{tuple(spec.shape)}.",
                received=f"shape {array.shape}",
                remedy="Pass a batch; `None` stands for any number.",
            )
        arrays[spec.name] = array
    numbers = {name: len(array) for name, array in arrays.items()}
    if len(set(numbers.values())) > 1:
        raise error(
            "`examples` must have equally many rows for every input.",
            received=f"rows {numbers}",
            remedy="Pass all inputs of the same examples.",
        )
    return arrays


def _array(spec: tf.TensorSpec, given: Any) -> Any:
    """Returns an input's values as an array of its type.

    Raises:
        ValueError: If they are of another kind, or rows differ in length.
    """
    try:
        with warnings.catch_warnings():
            # NumPy would drop the imaginary parts of complex numbers.
            warnings.simplefilter("error", ComplexWarning)
            array = np.asarray(given).astype(spec.dtype.as_numpy_dtype)
        if spec.dtype == tf.string:
            for value in array.flat:  # raises unless it is a string
                tf.compat.as_bytes(value)
        return array
    except (TypeError, ValueError, OverflowError, ComplexWarning) as cause:
        raise error(
            f"`examples` of input {spec.name!r} must be an array of "
            f"{spec.dtype.name}.",
            received=f"{cause}",
            remedy="Pass a batch, in rows of equal length.",
        ) from cause


def _describe(inputs: Any) -> str:
    names = shown(inputs) if isinstance(inputs, dict) else ""
    return f"{type(inputs).__name__} {names}".strip()
