"""What `write_servable` writes, read as a server reads it."""

import pathlib
import threading
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import export
from keras_selfaux.export._warmup import read_warmup
from keras_selfaux.layers import BranchedEncoder
from tests.export.models import (
    TASKS,
    dense_model,
    messages,
    signatures_of,
    vectors,
)


class TestSignatures:
    def test_all_tasks_and_each(self, written: Any) -> None:
        model, path = written
        assert path.name == "1"
        signatures = signatures_of(path)
        tasks = {"depth", "seg"}
        assert {*signatures} == {
            *tasks,
            "serve",
            "serving_default",
            "tf_examples",
        }
        for count in (1, 7, 0):
            x = vectors(count)
            answers = signatures["serving_default"](inputs=tf.constant(x))
            assert {*answers} == tasks
            for task in tasks:
                wanted = model(x)[task].numpy()
                assert np.allclose(answers[task], wanted, atol=1e-6)
                alone = signatures[task](inputs=tf.constant(x))
                assert {*alone} == {task}
                assert np.allclose(alone[task], wanted, atol=1e-6)

    def test_the_servable_answers_python_too(self, written: Any) -> None:
        model, path = written
        x = vectors(3)
        loaded = tf.saved_model.load(str(path))
        answers = loaded.serve(x)
        assert np.allclose(answers["seg"], model(x)["seg"], atol=1e-6)

    def test_examples_are_parsed(self, written: Any) -> None:
        model, path = written
        x = vectors(2)
        answers = signatures_of(path)["tf_examples"](tf.constant(messages(x)))
        assert np.allclose(answers["seg"], model(x)["seg"], atol=1e-6)

    def test_warmup_requests_are_for_all(self, written: Any) -> None:
        _, path = written
        requests = read_warmup(path)
        counts = [
            (signature, len(next(iter(inputs.values()))))
            for signature, inputs in requests
        ]
        assert sorted(counts) == [
            ("depth", 1),
            ("seg", 1),
            ("serving_default", 1),
            ("serving_default", 5),
            ("tf_examples", 1),
            ("tf_examples", 5),
        ]
        (given,) = [
            inputs["inputs"]
            for signature, inputs in requests
            if signature == "serving_default" and len(inputs["inputs"]) == 5
        ]
        assert np.array_equal(given, vectors(16)[:5])


class TestTasks:
    def test_one_task_alone(self, tmp_path: pathlib.Path) -> None:
        model = dense_model()
        path = export.write_servable(model, tmp_path, tasks=["seg"])
        loaded = tf.saved_model.load(str(path))
        assert {*loaded.signatures} == {"serve", "serving_default", "seg"}
        x = vectors(2)
        found = loaded.serve(x)
        assert {*found} == {"seg"}
        assert np.allclose(found["seg"], model(x)["seg"], atol=1e-6)
        # Trunk, one branch, one head.
        assert sum(v.shape.num_elements() for v in loaded._all_variables) == (
            4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3
        )
        report = export.verify_servable(path, model)
        assert report.parameters == 83

    def test_unknown_tasks(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ValueError, match=r"one or more of \['depth'"):
            export.write_servable(dense_model(), tmp_path, tasks=["sge"])

    @pytest.mark.parametrize("task", ["a b", "Maß"])
    def test_any_name_will_do(self, tmp_path: pathlib.Path, task: str) -> None:
        model = dense_model([task, "a_b"])
        path = export.write_servable(model, tmp_path, examples=vectors(2))
        report = export.verify_servable(path, model)
        assert [*report.signatures[task]["outputs"]] == [task]

    @pytest.mark.parametrize("task", ["serve", "variables", "_hidden", ""])
    def test_but_for_those_that_are_taken(
        self, tmp_path: pathlib.Path, task: str
    ) -> None:
        outer = keras.Input((2,))
        model = keras.Model(outer, {task: keras.layers.Dense(1)(outer)})
        with pytest.raises(ValueError, match="called by its name"):
            export.write_servable(model, tmp_path)


class TestErrors:
    def test_batches_of_one_size(self, tmp_path: pathlib.Path) -> None:
        inputs = keras.Input(batch_shape=(4, 3))
        model = keras.Model(inputs, {"seg": keras.layers.Dense(2)(inputs)})
        with pytest.raises(ValueError, match=r"batches of any size.*\{4\}"):
            export.write_servable(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()

    def test_a_version_that_exists(self, written: Any) -> None:
        model, path = written
        with pytest.raises(FileExistsError, match="has a version 1 already"):
            export.write_servable(model, path.parent, version=1)

    def test_nothing_is_left_of_a_failure(
        self, tmp_path: pathlib.Path, monkeypatch: Any
    ) -> None:
        def fail(*args: Any) -> None:
            raise OSError(28, "No space left on device", str(args[0]))

        monkeypatch.setattr(
            "keras_selfaux.export._servable.write_manifest", fail
        )
        with pytest.raises(OSError, match="No space left"):
            export.write_servable(dense_model(), tmp_path / "model")
        assert not [*(tmp_path / "model").iterdir()]

    def test_a_model_without_weights(self, tmp_path: pathlib.Path) -> None:
        model = keras_selfaux.SelfAuxModel(
            BranchedEncoder([keras.layers.Dense(2)], 0),
            {task: keras.layers.Dense(2) for task in TASKS},
        )
        with pytest.raises(ValueError, match="Call, fit or build the model"):
            export.write_servable(model, tmp_path)

    def test_answers_are_compared_before_a_version_appears(
        self, tmp_path: pathlib.Path
    ) -> None:
        @keras.saving.register_keras_serializable("tests")
        class Unsteady(keras.layers.Layer):
            def call(self, inputs: Any) -> Any:
                if tf.executing_eagerly():
                    return inputs
                return inputs + 1.0  # what the graph does

        inputs = keras.Input((4,))
        outputs = {"seg": keras.layers.Dense(2)(Unsteady()(inputs))}
        model = keras.Model(inputs, outputs)
        with pytest.raises(ValueError, match="and the model answer diff"):
            export.write_servable(model, tmp_path, examples=vectors(2))
        assert not [*tmp_path.iterdir()]


def test_whoever_polls_never_sees_half_a_version(
    tmp_path: pathlib.Path,
) -> None:
    model, x = dense_model(), vectors(2)
    complete: dict[str, bool] = {}
    done = threading.Event()
    files = (
        "saved_model.pb",
        "variables/variables.index",
        "assets.extra/selfaux.json",
        "assets.extra/tf_serving_warmup_requests",
    )

    def poll() -> None:
        while not done.is_set():
            for path in tmp_path.iterdir():
                if path.name.isdecimal() and path.name not in complete:
                    found = [(path / name).is_file() for name in files]
                    complete[path.name] = all(found)

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        for _ in range(3):
            export.write_servable(model, tmp_path, examples=x)
    finally:
        done.set()
        watcher.join()
    assert {*complete} >= {"1", "2"}
    assert all(complete.values())
