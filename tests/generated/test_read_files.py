"""Data and results that examples and data sets read, damaged."""

import io
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from examples import _report, _runs
from examples._robot_arm import RobotArm
from examples.serving._clients import _inputs
from examples.serving._clients._signatures import Signature, Tensor
from keras_selfaux.datasets._readers import read_array
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import damaged_bytes, damaged_json, odd_values

FAMILY = "files that are read"

_RUN = {
    "method": "mtl",
    "seed": 3,
    "seconds": 1.5,
    "parameters": 12,
    "scores": {"arm_0": {"rmse": 1.5}, "arm_1": {"rmse": 2.0}},
}
_GRAPH = {"tasks": ["arm_0", "arm_1"], "edges": [["arm_0", "arm_1"]]}
_TABLES = {"x": [[1.0, 2.0], [3.0, 4.0]]}
_SIGNATURE = Signature({"x": Tensor("float32", (None, 2))}, {})


@examples(60)
@given(damaged_json(_RUN))
@example(b'{"scores": 3}')
@example(b"[3]")
def test_results_of_runs(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "mtl_0.json"
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: _runs.read_result(path), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)
        return
    outcome(FAMILY, lambda: _report.means(found.value["scores"]))


@examples(40)
@given(damaged_json(_GRAPH))
@example(json.dumps({"tasks": ["arm_0"], "edges": []}).encode())
def test_graphs_for_runners(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "graph.json"
    path.write_bytes(content)
    config = RobotArm(num_tasks=2)
    found = outcome(FAMILY, lambda: config.load_graph(str(path)), path=path)
    assert path.read_bytes() == content
    if found.problem is None:
        assert set(found.value.tasks) == {"arm_0", "arm_1"}
    else:
        assert str(path) in str(found.problem)


@examples(20)
@given(
    st.sampled_from(["epochs", "batch_size", "learning_rate"]),
    odd_values,
)
def test_settings_of_runners(name: str, value: Any) -> None:
    outcome(FAMILY, lambda: RobotArm(**{name: value}))


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones((2, 2), "float32"))
    return file.getvalue()


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.ones((2, 2), "float32"))
    return file.getvalue()


def _pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()


_INPUTS = st.one_of(
    st.tuples(st.just(".json"), damaged_json(_TABLES)),
    st.tuples(st.just(".npy"), damaged_bytes(_npy())),
    st.tuples(st.just(".npz"), damaged_bytes(_npz())),
)


@examples(50)
@given(_INPUTS)
@example((".npy", _pickled()))
@example((".npz", _npy()))
@example((".npy", _npz()))
def test_inputs_of_the_serving_client(
    tmp_path: pathlib.Path, given_file: tuple[str, bytes]
) -> None:
    suffix, content = given_file
    path = tmp_path / f"inputs{suffix}"
    path.write_bytes(content)
    found = outcome(
        FAMILY, lambda: _inputs.from_file(str(path), _SIGNATURE), path=path
    )
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)


def _png() -> bytes:
    return tf.io.encode_png(np.ones((3, 4, 3), "uint8")).numpy()


def _jpeg() -> bytes:
    return tf.io.encode_jpeg(np.ones((3, 4, 3), "uint8")).numpy()


_DATA = st.one_of(
    st.tuples(st.just(".npy"), damaged_bytes(_npy())),
    st.tuples(st.just(".png"), damaged_bytes(_png())),
    st.tuples(st.just(".jpg"), damaged_bytes(_jpeg())),
)


@examples(50)
@given(_DATA)
@example((".npy", _pickled()))
def test_files_of_data_sets(
    tmp_path: pathlib.Path, given_file: tuple[str, bytes]
) -> None:
    suffix, content = given_file
    path = tmp_path / f"label{suffix}"
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: read_array(path), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_nothing_is_unpickled(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / f"inputs{suffix}"
    path.write_bytes(_pickled())
    found = outcome(
        FAMILY, lambda: _inputs.from_file(str(path), _SIGNATURE), path=path
    )
    assert "cannot be read" in str(found.problem)
