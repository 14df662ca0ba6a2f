"""ONNX files, run by ONNX Runtime."""

import pathlib
import sys
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from keras_selfaux.export import _onnx
from keras_selfaux.export._onnx import write_onnx
from keras_selfaux.export._plain import plain_model
from tests.export.networks import (
    conv_model,
    dense_model,
    features,
    images,
    in_policy,
    listed_inputs_model,
    named_inputs_model,
    predictions,
)


def answers(path: pathlib.Path, **inputs: np.ndarray) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def count_weights(path: pathlib.Path) -> int:
    graph = onnx.load(path).graph
    return sum(
        int(np.prod(constant.dims))
        for constant in graph.initializer
        if constant.data_type == onnx.TensorProto.FLOAT
    )


def test_answers_are_the_model_s_at_any_batch_size(
    tmp_path: pathlib.Path,
) -> None:
    model, path = dense_model(), tmp_path / "new" / "model.onnx"
    differences = write_onnx(model, path, features(40))
    assert set(differences) == {"a", "b", "c"}
    assert max(differences.values()) < 1e-6
    for count in (0, 1, 17):
        x = features(count)
        found = answers(path, inputs=x)
        for task, wanted in predictions(model, x).items():
            assert found[task].dtype == np.float32
            np.testing.assert_allclose(found[task], wanted, atol=1e-5)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    onnx.checker.check_model(str(path))


@pytest.mark.parametrize("tasks", [None, ["b"], ["c", "a"]])
def test_the_file_has_the_weights_of_its_tasks_alone(
    tasks: list[str] | None, tmp_path: pathlib.Path
) -> None:
    model, path = dense_model(), tmp_path / "model.onnx"
    assert write_onnx(model, path, tasks=tasks) == {}
    plain = plain_model(model, tasks)
    assert count_weights(path) == plain.count_params()
    assert set(answers(path, inputs=features(2))) == set(plain.output)


@pytest.mark.parametrize(
    "policy",
    [
        "float32",
        pytest.param("mixed_float16", marks=pytest.mark.slow),
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_a_convolutional_model_of_any_precision(
    policy: str, tmp_path: pathlib.Path
) -> None:
    model = in_policy(policy, conv_model)
    path = tmp_path / "model.onnx"
    differences = write_onnx(model, path, images(3))
    if policy == "float32":
        assert max(differences.values()) < 1e-5
    else:
        assert 1e-5 < max(differences.values()) < 0.08
    found = answers(path, inputs=images(3))
    for task, wanted in predictions(conv_model(), images(3)).items():
        assert found[task].dtype == np.float32
        np.testing.assert_allclose(found[task], wanted, atol=1e-4)


def test_inputs_and_tasks_keep_their_names(tmp_path: pathlib.Path) -> None:
    model, path = named_inputs_model(), tmp_path / "model.onnx"
    rng = np.random.default_rng(0)
    x = {"left": rng.normal(size=(4, 3)), "right": rng.normal(size=(4, 2))}
    assert max(write_onnx(model, path, x).values()) < 1e-6
    x = {name: array.astype("float32") for name, array in x.items()}
    found = answers(path, **x)
    for task, wanted in predictions(model, x).items():
        np.testing.assert_allclose(found[task], wanted, atol=1e-6)


def test_a_list_of_inputs_keeps_its_order(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.onnx"
    x = tf.data.Dataset.from_tensor_slices((np.ones((5, 2)), np.zeros((5, 2))))
    write_onnx(listed_inputs_model(), path, x.batch(2))
    three = np.full((1, 2), 3, "float32")
    found = answers(path, zero=three, inputs_1=0 * three)
    np.testing.assert_array_equal(found["t"], three)


def test_too_large_a_difference_leaves_no_file(tmp_path: pathlib.Path) -> None:
    model = in_policy("mixed_bfloat16", dense_model)
    message = r"task '[abc]' that differ by up to \d.* of their size, with tol"
    with pytest.raises(RuntimeError, match=message):
        write_onnx(model, tmp_path / "model.onnx", features(4), tolerance=1e-5)
    assert list(tmp_path.iterdir()) == []


def test_an_input_with_a_task_s_name(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((2,), name="seg")
    model = keras.Model(inputs, {"seg": keras.layers.Dense(1)(inputs)})
    message = r"input and an output of one name. Received: \['seg'\] among"
    with pytest.raises(ValueError, match=message):
        write_onnx(model, tmp_path / "model.onnx")


def test_other_names_of_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '.onnx'. Received"):
        write_onnx(dense_model(), tmp_path / "model.tflite")


def test_negative_tolerance(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="`tolerance` must be zero or a pos"):
        write_onnx(dense_model(), tmp_path / "m.onnx", tolerance=-1.0)


def test_nothing_is_overwritten(tmp_path: pathlib.Path) -> None:
    (path := tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match="exports are never overwritten"):
        write_onnx(dense_model(), path)
    assert path.read_text() == "mine"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_operation_that_onnx_lacks(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((3, 3))
    model = keras.Model(inputs, {"t": keras.ops.linalg.svd(inputs)[0]})
    message = r"(?s)cannot be converted to ONNX. Received: .*Svd"
    with pytest.raises(RuntimeError, match=message):
        write_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["onnx.checker", "tf2onnx", "onnxruntime"])
def test_without_a_package(
    module: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    model = dense_model()
    # Before any work: the model is not looked at.
    monkeypatch.setattr(_onnx, "plain_model", None)
    message = r'ONNX files need onnx.*pip install "keras_selfaux\[onnx\]"'
    with pytest.raises(ImportError, match=message):
        write_onnx(model, tmp_path / "m.onnx", features(2))


def test_an_untried_file_needs_no_runtime(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert write_onnx(dense_model(), tmp_path / "m.onnx") == {}
    assert (tmp_path / "m.onnx").is_file()
