"""What `write_servable` writes, read as a server reads it."""

import json
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
    image_model,
    images,
    vectors,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: Any) -> tuple[Any, pathlib.Path]:
    """A trained model and its servable."""
    model = dense_model()
    model.compile("adam", loss="mse", weighting="auto_lambda")
    x = vectors(16)
    y = {task: np.zeros((16, i + 2)) for i, task in enumerate(TASKS)}
    model.fit(x, y, meta_data=(x, y), epochs=2, verbose=0)
    path = export.write_servable(
        model,
        tmp_path_factory.mktemp("served") / "vectors",
        examples=x[:5],
        signatures=["tf_examples"],
        metadata={"seed": 3},
    )
    return model, path


def signatures_of(path: pathlib.Path) -> Any:
    return tf.saved_model.load(str(path)).signatures


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
        messages = [
            tf.train.Example(
                features=tf.train.Features(
                    feature={
                        "inputs": tf.train.Feature(
                            float_list=tf.train.FloatList(value=row)
                        )
                    }
                )
            ).SerializeToString()
            for row in x
        ]
        answers = signatures_of(path)["tf_examples"](tf.constant(messages))
        assert np.allclose(answers["seg"], model(x)["seg"], atol=1e-6)

    def test_warmup_requests_are_for_all(self, written: Any) -> None:
        _, path = written
        requests = read_warmup(path)
        counts = [
            (signature, len(next(iter(inputs.values()))))
            for signature, inputs in requests
        ]
        names = ["tf_examples", "serving_default", "depth", "seg"]
        assert sorted(counts) == sorted((n, c) for n in names for c in (1, 5))
        (given,) = [
            inputs["inputs"]
            for signature, inputs in requests
            if signature == "seg" and len(inputs["inputs"]) == 5
        ]
        assert np.array_equal(given, vectors(16)[:5])

    def test_images_are_decoded_resized_and_scaled(
        self, tmp_path: pathlib.Path
    ) -> None:
        model, x = image_model(), images(3)
        path = export.write_servable(
            model, tmp_path, examples=x, signatures=["image_bytes"]
        )
        call = signatures_of(path)["image_bytes"]
        pixels = np.rint((x + 1) * 127.5).astype("uint8")
        encoded = [tf.io.encode_png(image).numpy() for image in pixels]
        found = call(image_bytes=tf.constant(encoded))
        for task, wanted in model(x).items():
            assert np.allclose(found[task], wanted, atol=1e-5)
        # Larger ones are averaged, each of its own size, whatever the format.
        larger = [
            tf.io.encode_png(np.kron(pixels[0], np.ones((2, 2, 1), "uint8"))),
            tf.io.encode_jpeg(np.full((30, 20, 3), 90, "uint8"), quality=100),
        ]
        found = call(image_bytes=tf.stack(larger))["seg"].numpy()
        grey = np.full((1, 8, 12, 3), 90 / 127.5 - 1, "float32")
        assert np.allclose(found[0], model(x)["seg"][0], atol=1e-5)
        assert np.allclose(found[1], model(grey)["seg"][0], atol=1e-2)
        assert call(image_bytes=tf.constant([], tf.string))["seg"].shape[0] == 0
        with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG"):
            call(image_bytes=tf.constant([encoded[0][:-20]]))

    def test_images_preprocessed_another_way(
        self, tmp_path: pathlib.Path
    ) -> None:
        model = image_model(size=(None, None))
        signature = export.ImageBytes(
            "files", size=(8, 12), preprocess=lambda pixels: pixels / 255
        )
        path = export.write_servable(
            model, tmp_path, examples=images(1), signatures=[signature]
        )
        pixels = np.full((8, 12, 3), 51, "uint8")
        found = signatures_of(path)["files"](
            image_bytes=tf.stack([tf.io.encode_png(pixels)])
        )
        wanted = model(pixels[np.newaxis] / np.float32(255))
        assert np.allclose(found["seg"], wanted["seg"], atol=1e-6)
        assert {name for name, _ in read_warmup(path)} >= {"files"}


class TestInputs:
    def test_several_inputs_have_their_keys(
        self, tmp_path: pathlib.Path
    ) -> None:
        inputs = {
            "point": keras.Input((2,), name="point"),
            "kind": keras.Input((), dtype="int32", name="kind"),
        }
        embedded = keras.layers.Embedding(3, 2)(inputs["kind"])
        shared = keras.layers.Concatenate()([inputs["point"], embedded])
        encoder = keras.Model(
            inputs, {t: keras.layers.Dense(3)(shared) for t in TASKS}
        )
        model = keras_selfaux.SelfAuxModel(
            encoder, {t: keras.layers.Dense(1) for t in TASKS}
        )
        x = {
            "point": vectors(3)[:, :2],
            "kind": np.array([0, 2, 1], "int32"),
        }
        wanted = model(x)
        path = export.write_servable(
            model, tmp_path, examples=x, signatures=["tf_examples"]
        )
        signatures = signatures_of(path)
        found = signatures["serving_default"](
            **tf.nest.map_structure(tf.constant, x)
        )
        assert np.allclose(found["seg"], wanted["seg"], atol=1e-6)
        (messages,) = [
            inputs["examples"]
            for signature, inputs in read_warmup(path)
            if signature == "tf_examples" and len(inputs["examples"]) == 3
        ]
        found = signatures["tf_examples"](tf.constant(messages))
        assert np.allclose(found["seg"], wanted["seg"], atol=1e-6)
        assert export.verify_servable(path, model).model < 1e-6

    def test_an_input_keeps_its_own_name(self, tmp_path: pathlib.Path) -> None:
        image = keras.Input((4,), name="image")
        model = keras.Model(image, {"seg": keras.layers.Dense(2)(image)})
        path = export.write_servable(model, tmp_path)
        signatures = signatures_of(path)
        x = vectors(2)
        found = signatures["seg"](image=tf.constant(x))["seg"]
        assert np.allclose(found, model(x)["seg"], atol=1e-6)

    def test_names_do_not_change_from_export_to_export(
        self, tmp_path: pathlib.Path
    ) -> None:
        model = dense_model()
        first, second = (
            export.write_servable(model, tmp_path) for _ in range(2)
        )
        names = [
            json.loads((path / "assets.extra/selfaux.json").read_text())
            for path in (first, second)
        ]
        assert names[0]["signatures"] == names[1]["signatures"]

    @pytest.mark.parametrize(
        ("examples", "message"),
        [
            (np.zeros((3, 5)), r"of shape \(None, 4\).*\(3, 5\)"),
            (np.zeros((0, 4)), "must hold at least one example"),
            (np.zeros(4), r"Received: shape \(4,\)"),
            ({"x": np.zeros((3, 4))}, "Received: dict"),
        ],
    )
    def test_examples_that_do_not_fit(
        self, tmp_path: pathlib.Path, examples: Any, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            export.write_servable(
                dense_model(), tmp_path / "model", examples=examples
            )
        assert not (tmp_path / "model").exists()


class TestManifest:
    def test_tells_what_the_servable_is(self, written: Any) -> None:
        model, path = written
        found = json.loads((path / "assets.extra/selfaux.json").read_text())
        assert found["format"] == 1
        assert found["model"] == "vectors"
        assert found["tasks"] == TASKS
        edges = [["seg", "depth"], ["depth", "seg"]]
        assert found["graph"] == {"tasks": TASKS, "edges": edges}
        assert found["signatures"]["seg"] == {
            "inputs": {"inputs": {"dtype": "float32", "shape": [None, 4]}},
            "outputs": {"seg": {"dtype": "float32", "shape": [None, 3]}},
        }
        assert found["parameters"] == model.inference_model.count_params()
        logs = model.history.history
        assert found["training"]["epochs"] == 2
        for name in ("loss", "seg_loss", "depth_loss"):
            assert found["training"]["metrics"][name] == logs[name][-1]
        assert found["versions"]["keras"] == keras.__version__
        assert found["metadata"] == {"seed": 3}

    def test_of_a_model_that_was_never_trained(
        self, tmp_path: pathlib.Path
    ) -> None:
        plain = dense_model().inference_model
        path = export.write_servable(plain, tmp_path)
        found = json.loads((path / "assets.extra/selfaux.json").read_text())
        assert found["graph"] is None
        assert found["training"] is None
        assert not read_warmup(path)

    @pytest.mark.parametrize(
        "metadata", [{"a": object()}, {"a": float("nan")}, ["a"]]
    )
    def test_json_must_hold_metadata(
        self, tmp_path: pathlib.Path, metadata: Any
    ) -> None:
        with pytest.raises(ValueError, match="`metadata` must be a dict"):
            export.write_servable(dense_model(), tmp_path, metadata=metadata)


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

    @pytest.mark.parametrize("task", ["a b", "Maß", "7", "loss"])
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

    @pytest.mark.parametrize(
        ("signatures", "message"),
        [
            (["image"], "`signatures` must be one of"),
            ([3], r"`signatures` must be names .* 3 among them"),
            (["image_bytes"], "for models of one image"),
            (["tf_examples", "tf_examples"], "must have a name each"),
            ([export.TFExamples("seg")], "'seg' among"),
        ],
    )
    def test_signatures_that_do_not_fit(
        self, tmp_path: pathlib.Path, signatures: Any, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            export.write_servable(
                dense_model(), tmp_path / "model", signatures=signatures
            )
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize(
        ("built_for", "size", "message"),
        [
            ((None, None), None, "must know what size"),
            ((8, 12), (9, 12), r"the size of images .* \(8, 12\)"),
        ],
    )
    def test_image_sizes_that_do_not_fit(
        self, tmp_path: pathlib.Path, built_for: Any, size: Any, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            export.write_servable(
                image_model(size=built_for),
                tmp_path,
                signatures=[export.ImageBytes(size=size)],
            )

    def test_examples_of_any_size_cannot_be_parsed(
        self, tmp_path: pathlib.Path
    ) -> None:
        with pytest.raises(ValueError, match="inputs of fixed shape"):
            export.write_servable(
                image_model(size=(None, None)),
                tmp_path,
                signatures=["tf_examples"],
            )


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
