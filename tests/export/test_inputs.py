"""Names of inputs, and examples of them."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.export._inputs import _array, batches_of, input_specs


def model_of(inputs: Any) -> keras.Model:
    first = keras.tree.flatten(inputs)[0]
    return keras.Model(inputs, {"t": keras.layers.Dense(1)(first)})


def test_one_input_without_a_name() -> None:
    spec = input_specs(model_of(keras.Input((None, 3), dtype="int32")))
    assert spec == tf.TensorSpec((None, None, 3), "int32", "inputs")
    assert spec.name == "inputs"


def test_one_input_with_a_name() -> None:
    assert input_specs(model_of(keras.Input((3,), name="image"))).name == (
        "image"
    )


def test_the_keys_of_a_dict_are_names() -> None:
    inputs = {
        "b": keras.Input((2,), name="b"),
        "a": keras.Input((1,), name="a"),
    }
    specs = input_specs(model_of(inputs))
    assert {key: spec.name for key, spec in specs.items()} == {
        "a": "a",
        "b": "b",
    }
    assert specs["b"].shape == (None, 2)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_the_keys_of_a_dict_count_more_than_names() -> None:
    specs = input_specs(model_of({"key": keras.Input((2,), name="other")}))
    assert specs["key"].name == "key"


def test_inputs_of_a_list_are_numbered() -> None:
    inputs = [keras.Input((1,)), keras.Input((2,), name="x"), keras.Input((3,))]
    specs = input_specs(model_of(inputs))
    assert [spec.name for spec in specs] == ["inputs_0", "x", "inputs_2"]
    assert [spec.shape[1] for spec in specs] == [1, 2, 3]


def test_nested_inputs() -> None:
    inputs = [keras.Input((1,)), [keras.Input((2,)), keras.Input((2,))]]
    with pytest.raises(ValueError, match="Received: 3 tensors within list"):
        input_specs(model_of(inputs))


@pytest.mark.parametrize(
    "name", ["a b", "_x", "1st", "for", "self", "ä", "a-b"]
)
def test_names_that_functions_cannot_have(name: str) -> None:
    with pytest.raises(ValueError, match="must each have a name of their own"):
        input_specs(model_of({name: keras.Input((2,), name=name)}))


def test_a_name_that_comes_twice() -> None:
    inputs = [keras.Input((1,)), keras.Input((2,), name="inputs_0")]
    message = r"Received: inputs \['inputs_0', 'inputs_0'\]"
    with pytest.raises(ValueError, match=message):
        input_specs(model_of(inputs))


ONE = tf.TensorSpec((None, 2), "float32", "x")
TWO = {"a": ONE, "b": tf.TensorSpec((None, 2), "int32", "b")}


@pytest.mark.parametrize("number", [1, 31, 32, 33, 64])
def test_arrays_are_split(number: int) -> None:
    x = np.arange(2.0 * number).reshape(number, 2)
    batches = batches_of(x, ONE)
    assert {len(batch["x"]) for batch in batches} <= {32, number % 32}
    assert {batch["x"].dtype for batch in batches} == {np.dtype("float32")}
    joined = np.concatenate([batch["x"] for batch in batches])
    np.testing.assert_array_equal(joined, x)


def test_batches_of_a_data_set_stay_as_they_are() -> None:
    x = np.arange(10.0).reshape(5, 2)
    data = tf.data.Dataset.from_tensor_slices({"b": x, "a": -x}).batch(3)
    batches = batches_of(data, TWO | {"a": tf.TensorSpec((None, 2), name="a")})
    assert [len(batch["b"]) for batch in batches] == [3, 2]
    assert batches[0]["b"].dtype == np.int32
    np.testing.assert_array_equal(batches[1]["a"], -x[3:])


LABELLED = tf.data.Dataset.from_tensors((np.ones((3, 2)), np.ones((3, 1))))


@pytest.mark.parametrize(
    ("examples", "specs", "received"),
    [
        (LABELLED, ONE, "tuple"),
        ({"x": np.ones((3, 2))}, ONE, r"dict \['x'\]"),
        (np.ones((3, 2)), TWO, "ndarray"),
        ({"a": np.ones((3, 2))}, TWO, r"dict \['a'\]"),
        ((np.ones((3, 2)),), [ONE, ONE], "list"),
    ],
)
def test_examples_of_another_structure(
    examples: Any, specs: Any, received: str
) -> None:
    message = rf"the structure of the model's inputs. Received: {received}\. "
    with pytest.raises(ValueError, match=message):
        batches_of(examples, specs)


@pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 3, 2), ()])
def test_examples_of_another_shape(shape: tuple[int, ...]) -> None:
    message = r"input 'x' must be of shape \(None, 2\). Received: shape"
    with pytest.raises(ValueError, match=message):
        batches_of(np.ones(shape), ONE)


def test_unequal_numbers_of_examples() -> None:
    examples = {"a": np.ones((3, 2)), "b": np.ones((4, 2))}
    message = r"equally many rows.*Received: rows \{'x': 3, 'b': 4\}"
    with pytest.raises(ValueError, match=message):
        batches_of(examples, TWO)


@pytest.mark.parametrize(
    "examples",
    [
        np.ones((0, 2)),
        tf.data.Dataset.from_tensors(np.ones((0, 2))),
        tf.data.Dataset.from_tensors(np.ones((3, 2))).take(0),
    ],
)
def test_no_examples(examples: Any) -> None:
    with pytest.raises(ValueError, match="must hold at least one example"):
        batches_of(examples, ONE)


def test_endless_examples() -> None:
    data = tf.data.Dataset.from_tensors(np.ones((3, 2))).repeat()
    with pytest.raises(ValueError, match="`examples` must come to an end"):
        batches_of(data, ONE)


class OldArray:
    """What warns when NumPy reads it, as `keras.Variable` does."""

    def __array__(self, dtype: Any = None) -> Any:
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        return np.ones((2, 3))


@pytest.mark.filterwarnings("default")
def test_only_lost_imaginary_parts_are_an_error() -> None:
    spec = tf.TensorSpec((None, 3), tf.float32, "inputs")
    with pytest.warns(DeprecationWarning, match="old|copy"):
        found = _array(spec, OldArray())
    np.testing.assert_array_equal(found, np.ones((2, 3)))
    with pytest.raises(ValueError, match="must be an array of float32"):
        _array(spec, np.full((2, 3), 1j))
