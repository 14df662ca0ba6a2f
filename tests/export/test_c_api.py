"""SavedModels through TensorFlow's C API, in a process without Python's."""

import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.export import _c_session
from keras_selfaux.export._c_api import _library, run_in_c_api
from keras_selfaux.export._plain import plain_model
from tests.integration.models import TASKS, make_model

NUMBERS = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "complex64",
]


def write(model: keras.Model, path: pathlib.Path) -> pathlib.Path:
    """Writes a SavedModel with all tasks, and one of them alone."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((None, *model.input.shape[1:]), "float32", "inputs")
    archive.add_endpoint("serve", model, input_signature=[spec])
    archive.add_endpoint(
        "b", lambda x: {"b": model(x)["b"]}, input_signature=[spec]
    )
    archive.write_out(str(path), verbose=False)
    return path


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return plain_model(make_model(batch_norm=True))


@pytest.fixture(scope="module")
def path(
    model: keras.Model, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    return write(model, tmp_path_factory.mktemp("saved") / "mödel" / "1")


class Kinds(tf.Module):
    """Gives back what it is given, and says something about texts."""

    @tf.function
    def same(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"same_{key}": value for key, value in inputs.items()}

    @tf.function
    def texts(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "lengths": tf.strings.length(texts),
            "twice": texts + texts,
            "texts": texts,
            "again": texts,
        }

    @tf.function
    def must_be_positive(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.debugging.assert_positive(x, "not positive: see the manual")
        return {"x": x}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    module, path = Kinds(), tmp_path_factory.mktemp("kinds")
    specs = {n: tf.TensorSpec(None, n, name=n) for n in NUMBERS}
    text = tf.TensorSpec(None, tf.string, name="texts")
    number = tf.TensorSpec((None, 2), name="x")
    signatures = {
        "same": module.same.get_concrete_function(**specs),
        "texts": module.texts.get_concrete_function(text),
        "positive": module.must_be_positive.get_concrete_function(number),
    }
    tf.saved_model.save(module, str(path), signatures)
    return path


def test_answers_are_the_model_s_own_in_the_order_of_requests(
    model: keras.Model, path: pathlib.Path
) -> None:
    rng = np.random.default_rng(0)
    sizes = [17, 1, 0, 3]
    batches = [rng.normal(size=(n, 4)).astype("float32") for n in sizes]
    names = ["serve", "b", "serving_default", "serve"]
    answers = run_in_c_api(
        path,
        [(n, {"inputs": x}) for n, x in zip(names, batches, strict=True)],
    )
    for name, x, answer in zip(names, batches, answers, strict=True):
        assert set(answer) == ({"b"} if name == "b" else set(TASKS))
        wanted = model(x, training=False)
        for task, values in answer.items():
            assert values.dtype == np.float32
            assert values.shape == (len(x), 2)
            np.testing.assert_allclose(values, wanted[task], atol=1e-6)


def test_a_model_may_be_loaded_alone(path: pathlib.Path) -> None:
    assert run_in_c_api(path, []) == []


def test_numbers_of_all_types_pass(kinds: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    inputs = {
        name: np.asfortranarray(
            rng.integers(0, 2, (3, 2)).astype(tf.as_dtype(name).as_numpy_dtype)
        )
        for name in NUMBERS
    }
    inputs["float64"] = np.float64(np.pi)
    inputs["int64"] = np.array([[-(2**63), 2**63 - 1]])
    inputs["uint64"] = np.array([2**64 - 1], "uint64")
    inputs["float32"] = np.array([np.nan, -np.inf, 1e-45], "float32")
    inputs["int8"] = np.empty((2, 0, 3), "int8")
    (answer,) = run_in_c_api(kinds, [("same", inputs)])
    assert set(answer) == {f"same_{name}" for name in NUMBERS}
    for name, array in inputs.items():
        same = answer[f"same_{name}"]
        assert same.dtype == array.dtype
        np.testing.assert_array_equal(same, array)


TEXTS = [b"", b"short", b"\0nul\0", "grün".encode(), b"x" * 100_000]


@pytest.mark.parametrize("shape", [(5,), (1, 5), (0,), (5, 0), ()])
def test_texts_pass(kinds: pathlib.Path, shape: tuple[int, ...]) -> None:
    texts = np.empty(shape, object)
    texts.flat = TEXTS[: texts.size]
    (answer,) = run_in_c_api(kinds, [("texts", {"texts": texts})])
    for key in ("texts", "again"):
        assert answer[key].dtype == object
        np.testing.assert_array_equal(answer[key], texts)
    assert answer["twice"].shape == answer["lengths"].shape == shape
    for text, twice, length in zip(
        texts.flat, answer["twice"].flat, answer["lengths"].flat, strict=True
    ):
        assert twice == text + text
        assert length == len(text)


def test_messages_survive_packing() -> None:
    tensors = [
        _c_session.WireTensor(1, [2], [b"8 bytes."]),
        _c_session.WireTensor(_c_session.STRING, [0, 3], []),
        _c_session.WireTensor(_c_session.STRING, [2], [b"", b"\xff"]),
        _c_session.WireTensor(1, [0], [b""]),
    ]
    message = _c_session.pack({"saved_model": "grün"}, tensors)
    assert _c_session.unpack(message) == ({"saved_model": "grün"}, tensors)


def test_the_process_imports_the_standard_library_alone(
    path: pathlib.Path,
) -> None:
    """What Python imports at start, and then, is listed in `stderr`."""
    message = {"saved_model": str(path), "tags": ["serve"], "requests": []}
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-I", "-S"),
            *(_c_session.__file__, str(_library())),
        ],
        input=_c_session.pack(message, []),
        capture_output=True,
        check=True,
    )
    assert _c_session.unpack(done.stdout) == ({}, [])
    lines = re.findall(r"import time:[\d |]+ ([\w.]+)\n", done.stderr.decode())
    modules = {line.split(".")[0] for line in lines}
    assert "ctypes" in modules
    # Submodules of the standard library that have no package of their own.
    assert modules - sys.stdlib_module_names <= {"_frozen_importlib_external"}


@pytest.mark.parametrize("name", ["unknown", "__saved_model_init_op"])
def test_unknown_signatures(path: pathlib.Path, name: str) -> None:
    message = r"`requests` must name signatures.*Received: signature"
    with pytest.raises(ValueError, match=message) as problem:
        run_in_c_api(path, [(name, {})])
    assert "one of ['b', 'serve', 'serving_default']" in str(problem.value)


@pytest.mark.parametrize("names", [[], ["x"], ["inputs", "x"]])
def test_wrong_names_of_inputs(path: pathlib.Path, names: list[str]) -> None:
    arrays = {name: np.ones((1, 4), "float32") for name in names}
    with pytest.raises(ValueError, match=r"'b' must have one array") as problem:
        run_in_c_api(path, [("b", arrays)])
    assert f"Received: inputs {names}" in str(problem.value)
    assert "Pass the inputs ['inputs']" in str(problem.value)


@pytest.mark.parametrize("dtype", ["float64", "int32", ">f4", "S3"])
def test_wrong_types(path: pathlib.Path, dtype: str) -> None:
    message = "Input 'inputs' of 'serve' must be an array of float32. Received"
    with pytest.raises(ValueError, match=message):
        run_in_c_api(path, [("serve", {"inputs": np.ones((1, 4), dtype)})])


def test_texts_must_be_bytes(kinds: pathlib.Path) -> None:
    texts = np.array([b"right", "wrong"], object)
    message = r"'texts' must be an array of `bytes` objects. Received: a str"
    with pytest.raises(ValueError, match=message):
        run_in_c_api(kinds, [("texts", {"texts": texts})])


def test_errors_of_the_graph_have_tensorflow_s_words(
    kinds: pathlib.Path,
) -> None:
    x = np.ones((1, 2), "float32")
    requests = [("positive", {"x": x}), ("positive", {"x": -x})]
    message = r"(?s)error at request 1, to 'positive'.*not positive: see the"
    with pytest.raises(RuntimeError, match=message):
        run_in_c_api(kinds, requests)


def test_a_wrong_shape_is_tensorflow_s_to_refuse(path: pathlib.Path) -> None:
    x = np.ones((2, 5), "float32")
    with pytest.raises(RuntimeError, match=r"(?s)request 0, to 'b'.* says: \w"):
        run_in_c_api(path, [("b", {"inputs": x})])


def test_no_saved_model(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="must be the folder of a SavedModel"):
        run_in_c_api(tmp_path, [])


@pytest.fixture
def copy(path: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A SavedModel that may be damaged."""
    for file in path.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path


def test_a_damaged_graph(copy: pathlib.Path) -> None:
    file = copy / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(
        ValueError, match=r"the folder of a SavedModel.*damaged"
    ):
        run_in_c_api(copy, [])


def test_a_graph_with_an_operation_that_nobody_knows(
    copy: pathlib.Path,
) -> None:
    file = copy / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"BiasAdd", b"BiasSub"))
    with pytest.raises(RuntimeError, match=r"(?s)at loading it.*BiasSub"):
        run_in_c_api(copy, [])


def test_a_graph_that_is_not_for_serving(copy: pathlib.Path) -> None:
    (copy / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"without the tag 'serve'"):
        run_in_c_api(copy, [])


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_missing_variables(copy: pathlib.Path, suffix: str) -> None:
    (copy / "variables" / f"variables.{suffix}").unlink()
    x = np.ones((1, 4), "float32")
    with pytest.raises(
        RuntimeError, match=r"(?s)cannot run .*says: .*variable"
    ):
        run_in_c_api(copy, [("serve", {"inputs": x})])


def test_no_library(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    missing = tmp_path / "libtensorflow.so"
    with pytest.raises(FileNotFoundError, match="no shared library") as problem:
        run_in_c_api(path, [], library=missing)
    assert str(missing) in str(problem.value)


def test_a_process_that_dies(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Its last words name the library that is none."""
    (library := tmp_path / "lib.so").write_bytes(b"no library")
    message = r"(?s)API died. Received: exit status 1. .*lib\.so"
    with pytest.raises(RuntimeError, match=message):
        run_in_c_api(path, [], library=library)


def test_no_answer_in_time(path: pathlib.Path) -> None:
    with pytest.raises(TimeoutError, match=r"timeout=0.01 seconds. Pass more"):
        run_in_c_api(path, [], timeout=0.01)
