"""What is found in a SavedModel, against counts by hand."""

import pathlib
from typing import Any

import keras
import pytest
import tensorflow as tf

from keras_selfaux.export._content import Content, content
from keras_selfaux.export._saved_model import read_meta_graph


def saved(module: tf.Module, path: pathlib.Path, *shape: Any) -> Content:
    """Saves a module whose `call` takes a tensor of some shape."""
    spec = tf.TensorSpec(shape, tf.float32, "inputs")
    function = tf.function(module.call, input_signature=[spec])
    tf.saved_model.save(
        module, str(path), signatures={"serving_default": function}
    )
    return content(read_meta_graph(path))


class Heads(tf.Module):
    """Two heads, of which the second may be for nothing."""

    def __init__(self, uses_second: bool, runs_second: bool) -> None:
        super().__init__()
        self.first = tf.Variable(tf.ones((2, 3)))
        self.second = tf.Variable(tf.ones((2, 4)))
        self.uses_second = uses_second
        self.runs_second = runs_second

    def call(self, inputs: Any) -> dict[str, Any]:
        answers = {"first": inputs @ self.first}
        if self.runs_second:
            second = tf.nn.relu(inputs @ self.second)
            if self.uses_second:
                answers["second"] = second
        return answers


def test_all_of_it_is_needed(tmp_path: pathlib.Path) -> None:
    found = saved(Heads(True, True), tmp_path, None, 2)
    assert found.parameters == 2 * 3 + 2 * 4
    assert found.operations["MatMul"] == 2
    assert found.operations["Relu"] == 1
    assert found.idle_variables == []
    assert found.products == 2
    assert found.precision == "float32"


def test_a_variable_that_nothing_reads(tmp_path: pathlib.Path) -> None:
    found = saved(Heads(False, False), tmp_path, None, 2)
    assert found.parameters == 2 * 3
    assert len(found.idle_variables) == 1
    assert found.products == 1


def test_a_head_whose_answer_nobody_gets(tmp_path: pathlib.Path) -> None:
    found = saved(Heads(False, True), tmp_path, None, 2)
    assert found.parameters == 2 * 3
    assert found.operations["MatMul"] == 1
    assert len(found.idle_variables) == 1
    assert found.products == 2


class Nested(tf.Module):
    """Functions within functions, a loop and a condition."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones((2, 2)))
        self.other = tf.Variable(tf.ones((2, 2)))

    @tf.function
    def both(self, inputs: Any) -> Any:
        return inputs @ self.kernel, inputs @ self.other

    def call(self, inputs: Any) -> dict[str, Any]:
        first, _ = self.both(inputs)
        many = tf.map_fn(lambda row: row * 2.0, first)
        positive = tf.reduce_sum(many) > 0
        return {
            "answer": tf.cond(positive, lambda: many, lambda: -many),
        }


def test_calls_are_followed_output_by_output(tmp_path: pathlib.Path) -> None:
    found = saved(Nested(), tmp_path, None, 2)
    assert found.parameters == 4
    assert len(found.idle_variables) == 1
    assert found.operations["MatMul"] == 1
    assert found.operations["Neg"] == 1  # in a branch of the condition
    assert found.products == 2


def test_what_keras_writes_beside(tmp_path: pathlib.Path) -> None:
    """A second copy of all weights, and states of random generators."""
    inputs = keras.Input((2,))
    outputs = keras.layers.Dropout(0.5)(keras.layers.Dense(2)(inputs))
    keras.Model(inputs, {"a": outputs}).export(
        tmp_path / "model", verbose=False
    )
    found = content(read_meta_graph(tmp_path / "model"))
    assert found.parameters == 6
    assert "seed_generator/seed_generator_state" in found.idle_variables


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_seen(tmp_path: pathlib.Path, precision: str) -> None:
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, dtype=f"mixed_{precision}")(inputs)
    outputs = keras.layers.Dense(2, dtype="float32")(outputs)
    keras.Model(inputs, {"a": outputs}).export(
        tmp_path / "model", verbose=False
    )
    found = content(read_meta_graph(tmp_path / "model"))
    assert found.precision == precision


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "a folder without saved_model.pb"),
        (lambda file: file.write_bytes(b"\x0a\xffno"), "a damaged saved_model"),
        (lambda file: file.write_bytes(b""), "without the tag 'serve'"),
    ],
)
def test_folders_that_cannot_be_read(
    tmp_path: pathlib.Path, damage: Any, message: str
) -> None:
    saved(Heads(True, True), tmp_path, None, 2)
    damage(tmp_path / "saved_model.pb")
    with pytest.raises(ValueError, match=message):
        read_meta_graph(tmp_path)


def test_values_are_not_loaded_for_it(tmp_path: pathlib.Path) -> None:
    saved(Heads(True, True), tmp_path, None, 2)
    for file in (tmp_path / "variables").iterdir():
        file.unlink()
    assert content(read_meta_graph(tmp_path)).parameters == 14
