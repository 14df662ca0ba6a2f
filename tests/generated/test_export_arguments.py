"""Arguments of exports of any kind."""

import functools
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux import export
from keras_selfaux.export._inputs import as_batch, batches_of, input_specs
from keras_selfaux.export._manifest import check_metadata
from keras_selfaux.export._signatures import as_signatures, check_names
from keras_selfaux.export._versions import check_base_path, check_version
from tests.export.models import dense_model
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import odd_values, or_odd

FAMILY = "export arguments"

_text = st.text(max_size=4)
_arrays = st.builds(
    lambda shape, dtype: np.ones(shape).astype(dtype),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
    st.sampled_from(["float32", "int64", "U3", "object", "complex64"]),
)


@examples(12)
@given(
    or_odd(_text),
    or_odd(st.one_of(st.none(), st.tuples(st.integers(), st.integers()))),
    or_odd(st.sampled_from([None, len, tf.identity])),
)
@example("", None, None)
@example("pictures", (8, 12), len)
def test_image_bytes(name: Any, size: Any, preprocess: Any) -> None:
    def make() -> Any:
        signature = export.ImageBytes(name, size=size, preprocess=preprocess)
        check_names(["depth"], [signature])
        specs = tf.TensorSpec((None, 8, 12, 3), tf.float32, "inputs")
        batch = {"inputs": np.zeros((2, 8, 12, 3), "float32")}
        return signature.request(batch, specs)

    outcome(FAMILY, make)


@examples(8)
@given(
    or_odd(_text),
    st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=3),
    st.sampled_from(["float32", "int32", "bool", "string", "complex64"]),
)
def test_tf_examples(name: Any, shape: Any, dtype: str) -> None:
    spec = tf.TensorSpec((None, *shape), tf.as_dtype(dtype), "inputs")

    def make() -> Any:
        signature = export.TFExamples(name)
        check_names(["depth"], [signature])
        signature.endpoint(None, spec)
        fill = b"text" if dtype == "string" else 1
        values = np.full((2, *shape), fill, spec.dtype.as_numpy_dtype)
        return signature.request({"inputs": values}, spec)

    outcome(FAMILY, make)


@examples(25)
@given(
    or_odd(
        st.lists(
            or_odd(st.sampled_from(["image_bytes", "tf_examples"])), max_size=2
        )
    )
)
def test_signatures(signatures: Any) -> None:
    found = outcome(FAMILY, lambda: as_signatures(signatures)).value
    assert found is None or len(found) <= 2


@examples(25)
@given(or_odd(_arrays), st.booleans())
@example([[1.0, 2.0, 3.0, 4.0], [1.0]], True)
@example([[1j] * 4], False)
@example(np.array([["a", "b", "c", "d"]]), True)
def test_examples(given_examples: Any, in_batches: bool) -> None:
    specs = tf.TensorSpec((None, 4), tf.float32, "inputs")
    read = batches_of if in_batches else as_batch
    found = outcome(FAMILY, lambda: read(given_examples, specs)).value
    if found is not None:
        batches = found if in_batches else [found]
        total = sum(len(batch["inputs"]) for batch in batches)
        assert total == len(given_examples)


@examples(25)
@given(odd_values)
def test_metadata(metadata: Any) -> None:
    outcome(FAMILY, lambda: check_metadata(metadata))


@examples(25)
@given(or_odd(st.just("folder")), or_odd(st.integers(-1, 4)))
@example("a\0b", 1)
@example("folder", 10**30)
def test_versions(tmp_path: pathlib.Path, base_path: Any, version: Any) -> None:
    (tmp_path / "folder" / "2").mkdir(parents=True, exist_ok=True)
    if isinstance(base_path, str) and base_path == "folder":
        base_path = tmp_path / "folder"

    def check() -> None:
        check_version(check_base_path(base_path), version)

    outcome(FAMILY, check, path=tmp_path / "folder")


@examples(10)
@given(or_odd(_text))
@example(("a", "b"))
def test_names_of_inputs(name: Any) -> None:
    if not isinstance(name, str) or "/" in name:
        return  # Keras refuses these before there is a model

    def specs() -> Any:
        inputs = keras.Input((2,), name=name)
        return input_specs(keras.Model(inputs, {"a": inputs + 1}))

    outcome(FAMILY, specs, by_keras="name")


@examples(3)
@given(or_odd(st.just(None)), odd_values)
@example([[]], b"")
def test_what_is_written(
    tmp_path: pathlib.Path, tasks: Any, given_examples: Any
) -> None:
    """A refused export leaves nothing behind."""
    if given_examples is None:
        return
    found = outcome(
        FAMILY,
        lambda: export.write_servable(
            _model(), tmp_path, 1, given_examples, tasks=tasks
        ),
        path=tmp_path,
    )
    assert found.problem is not None
    assert not (tmp_path / "1").exists()


@functools.cache
def _model() -> Any:
    return dense_model()


def test_examples_of_strings() -> None:
    """One string for a sample is no array, unlike one number."""
    spec = tf.TensorSpec((None,), tf.string, "inputs")
    batch = as_batch(np.array(["a", "b"]), spec)
    sent, _ = export.TFExamples().request(batch, spec)
    feature = {"inputs": tf.io.FixedLenFeature((), tf.string)}
    parsed = tf.io.parse_example(sent["examples"], feature)
    assert parsed["inputs"].numpy().tolist() == [b"a", b"b"]
    found = outcome(FAMILY, lambda: as_batch(np.array([1, 2]), spec))
    assert "must be an array of string" in str(found.problem)


@pytest.mark.parametrize("given_model", [None, 3, keras.layers.Dense(2)])
def test_what_is_no_model(tmp_path: pathlib.Path, given_model: Any) -> None:
    found = outcome(
        FAMILY, lambda: export.write_servable(given_model, tmp_path)
    )
    assert found.problem is not None
