"""LiteRT files, run by LiteRT's own interpreter."""

import math
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import keras_selfaux
from keras_selfaux.export import _litert
from keras_selfaux.export._litert import write_litert
from keras_selfaux.export._plain import plain_model
from tests.export.networks import (
    conv_model,
    dense_model,
    features,
    fill,
    images,
    in_policy,
    listed_inputs_model,
    named_inputs_model,
    predictions,
)


def runner(path: pathlib.Path) -> Any:
    return Interpreter(str(path)).get_signature_runner()


def constants(path: pathlib.Path, kind: str) -> list[tuple[int, ...]]:
    """Returns the shapes of all tensors of a type that the file holds."""
    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    tensors = [g.Tensors(i) for g in graphs for i in range(g.TensorsLength())]
    return [
        tuple(tensor.ShapeAsNumpy())
        for tensor in tensors
        if tensor.Type() == getattr(schema.TensorType, kind.upper())
        and model.Buffers(tensor.Buffer()).DataLength()
    ]


def count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes))


@pytest.fixture(scope="module")
def conv() -> Any:
    return conv_model()


def test_answers_are_the_model_s_at_any_batch_size(
    tmp_path: pathlib.Path,
) -> None:
    model, path = dense_model(), tmp_path / "new" / "model.tflite"
    # Two batches, the second of which is smaller.
    differences = write_litert(model, path, features(40))
    assert set(differences) == {"a", "b", "c"}
    assert max(differences.values()) < 1e-6
    run = runner(path)
    for number in (1, 17, 3):
        x = features(number)
        answers = run(inputs=x)
        for task, wanted in predictions(model, x).items():
            assert answers[task].dtype == np.float32
            np.testing.assert_allclose(answers[task], wanted, atol=1e-5)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("tasks", [None, ["b"], ["c", "a"]])
def test_the_file_has_the_weights_of_its_tasks_alone(
    tasks: list[str] | None, tmp_path: pathlib.Path
) -> None:
    model, path = dense_model(), tmp_path / "model.tflite"
    write_litert(model, path, tasks=tasks)
    plain = plain_model(model, tasks)
    assert count(constants(path, "float32")) == plain.count_params()
    assert plain.count_params() < model.count_params() / 1.2
    assert set(runner(path)(inputs=features(2))) == set(plain.output)


def test_a_convolutional_model(conv: Any, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.tflite"
    differences = write_litert(conv, path, images(5))
    assert max(differences.values()) < 1e-5
    # Statistics are folded into kernels; there is no clone's.
    kernels = [w.shape for w in plain_model(conv).weights if len(w.shape) == 4]
    found = [s for s in constants(path, "float32") if len(s) == 4]
    assert count(found) == count(kernels)
    assert len(found) == len(kernels)


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_mixed_precision_becomes_float32(
    policy: str, tmp_path: pathlib.Path
) -> None:
    model = in_policy(policy, conv_model)
    path = tmp_path / "model.tflite"
    differences = write_litert(model, path, images(3))
    # As coarse as the model computes, and no coarser.
    assert 1e-5 < max(differences.values()) < 0.08
    run = runner(path)
    assert {d["dtype"] for d in run.get_input_details().values()} == {
        np.float32
    }
    exact = conv_model()
    for task, wanted in predictions(exact, images(3)).items():
        answers = run(inputs=images(3))[task]
        assert answers.dtype == np.float32
        np.testing.assert_allclose(answers, wanted, atol=1e-4)


def test_inputs_and_tasks_keep_their_names(tmp_path: pathlib.Path) -> None:
    model, path = named_inputs_model(), tmp_path / "model.tflite"
    rng = np.random.default_rng(0)
    x = {"left": rng.normal(size=(4, 3)), "right": rng.normal(size=(4, 2))}
    differences = write_litert(model, path, x)
    assert max(differences.values()) < 1e-6
    x = {name: array.astype("float32") for name, array in x.items()}
    answers = runner(path)(**x)
    for task, wanted in predictions(model, x).items():
        np.testing.assert_allclose(answers[task], wanted, atol=1e-6)


def test_inputs_by_name_of_a_model_with_clones(tmp_path: pathlib.Path) -> None:
    inputs = {n: keras.Input((2,), name=n) for n in ("left", "right")}
    first = keras.Model(inputs, keras.layers.Subtract()([*inputs.values()]))
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([first, keras.layers.Dense(3)], 1),
        {task: keras.layers.Dense(2) for task in ("a", "b")},
    )
    x = {n: features(5)[:, i : i + 2] for i, n in enumerate(inputs)}
    wanted = predictions(model, x)
    path = tmp_path / "model.tflite"
    assert max(write_litert(model, path, x, tasks=["b"]).values()) < 1e-6
    answers = runner(path)(**x)
    np.testing.assert_allclose(answers["b"], wanted["b"], atol=1e-6)


def test_a_task_that_needs_one_of_two_inputs(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.tflite"
    x = {"left": np.ones((4, 3)), "right": np.ones((4, 2))}
    write_litert(named_inputs_model(), path, x, tasks=["1/left"])
    assert set(runner(path).get_input_details()) == {"left", "right"}


def test_a_list_of_inputs_keeps_its_order(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.tflite"
    x = tf.data.Dataset.from_tensor_slices((np.ones((5, 2)), np.zeros((5, 2))))
    write_litert(listed_inputs_model(), path, x.batch(2))
    run, three = runner(path), np.full((1, 2), 3, "float32")
    answers = run(zero=three, inputs_1=0 * three)
    np.testing.assert_array_equal(answers["t"], three)


def wide_model() -> keras.Model:
    """Large enough that weights are most of a file."""
    inputs = keras.Input((256,))
    shared = keras.layers.Dense(256, "relu")(inputs)
    return fill(
        keras.Model(
            inputs,
            {
                "seg": keras.layers.Dense(256)(shared),
                "depth": keras.layers.Dense(128)(shared),
            },
        )
    )


@pytest.mark.parametrize(
    ("quantization", "kind", "part"),
    [
        ("float16", "float16", 0.5),
        ("dynamic", "int8", 0.25),
        ("int8", "int8", 0.25),
    ],
)
def test_quantization_makes_weights_small(
    quantization: str, kind: str, part: float, tmp_path: pathlib.Path
) -> None:
    model, path = wide_model(), tmp_path / "model.tflite"
    x = np.random.default_rng(0).normal(size=(64, 256)).astype("float32")
    differences = write_litert(model, path, x, quantization=quantization)
    assert min(differences.values()) > 0
    write_litert(model, tmp_path / "float.tflite")
    whole = (tmp_path / "float.tflite").stat().st_size
    assert path.stat().st_size / whole == pytest.approx(part, abs=0.04)
    kernels = {w.shape for w in model.weights if len(w.shape) == 2}
    found = constants(path, kind)
    assert {shape[::-1] for shape in found if len(shape) == 2} == kernels
    biases = [s for s in constants(path, "float32") if len(s) == 1]
    # In int8 they are added to sums in int32.
    assert (biases == []) == (quantization != "dynamic")
    details = runner(path).get_output_details().values()
    assert {detail["dtype"] for detail in details} == {np.float32}


@pytest.mark.parametrize(
    ("quantization", "most"),
    [
        pytest.param("float16", 0.005, marks=pytest.mark.slow),
        pytest.param("dynamic", 0.05, marks=pytest.mark.slow),
        ("int8", 0.08),
    ],
)
def test_a_quantized_convolutional_model(
    quantization: str, most: float, conv: Any, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "model.tflite"
    found = write_litert(conv, path, images(40), quantization=quantization)
    assert min(found.values()) > 0
    assert max(found.values()) < most
    run = runner(path)
    for task, wanted in predictions(conv, images(7)).items():
        gap = np.abs(run(inputs=images(7))[task] - wanted).max()
        assert gap / np.ptp(wanted) < most
    if quantization == "int8":
        assert constants(path, "float32") == constants(path, "float16") == []
        kernels = [w for w in plain_model(conv).weights if len(w.shape) == 4]
        found = [s for s in constants(path, "int8") if len(s) == 4]
        assert len(found) == len(kernels)


def test_too_large_a_difference_leaves_no_file(
    conv: Any, tmp_path: pathlib.Path
) -> None:
    message = (
        r"does not answer as the model does. Received: answers for task "
        r"'(seg|depth)' that differ by up to 0\.0\d+ of the answers' range, "
        r"with tolerance=0.0001"
    )
    with pytest.raises(RuntimeError, match=message):
        write_litert(
            conv,
            tmp_path / "model.tflite",
            images(4),
            quantization="int8",
            tolerance=0.0001,
        )
    assert list(tmp_path.iterdir()) == []


def test_ranges_are_needed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"needs the ranges.*examples=None"):
        write_litert(dense_model(), tmp_path / "m.tflite", quantization="int8")


def test_unknown_quantization(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="`quantization` must be one of"):
        write_litert(dense_model(), tmp_path / "m.tflite", quantization="int4")


def test_negative_tolerance(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="`tolerance` must be zero or a pos"):
        write_litert(dense_model(), tmp_path / "m.tflite", tolerance=-1.0)


def test_other_names_of_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '.tflite'. Received"):
        write_litert(dense_model(), tmp_path / "model.onnx")


def test_nothing_is_overwritten(tmp_path: pathlib.Path) -> None:
    (path := tmp_path / "model.tflite").write_text("mine")
    with pytest.raises(FileExistsError, match="exports are never overwritten"):
        write_litert(dense_model(), path)
    assert path.read_text() == "mine"


def test_an_operation_that_litert_lacks(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((3, 3))
    model = keras.Model(inputs, {"inverse": keras.ops.linalg.inv(inputs)})
    message = r"(?s)cannot be converted for LiteRT. Received: .*MatrixInverse"
    with pytest.raises(RuntimeError, match=message):
        write_litert(model, tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_without_litert(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    model = dense_model()
    # Before any work: the model is not looked at.
    monkeypatch.setattr(_litert, "plain_model", None)
    message = r'could not be imported.*pip install "keras_selfaux\[litert\]"'
    with pytest.raises(ImportError, match=message):
        write_litert(model, tmp_path / "m.tflite", features(2))


def test_an_untried_file_needs_no_runtime(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert write_litert(dense_model(), tmp_path / "m.tflite") == {}
    assert (tmp_path / "m.tflite").is_file()
