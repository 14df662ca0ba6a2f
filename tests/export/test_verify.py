"""What `verify_servable` finds fine, and what it does not."""

import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import app, flags

from keras_selfaux import export
from keras_selfaux.export import verify
from keras_selfaux.export._warmup import WARMUP_FILE, Request, write_warmup
from tests.export.models import dense_model, image_model, images, vectors

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def original(tmp_path_factory: Any) -> tuple[Any, pathlib.Path]:
    """A model and its servable, which no test may change."""
    model = dense_model()
    folder = tmp_path_factory.mktemp("served") / "vectors"
    return model, export.write_servable(model, folder, examples=vectors(3))


@pytest.fixture
def copied(original: Any, tmp_path: pathlib.Path) -> tuple[Any, pathlib.Path]:
    """A model and a copy of its servable."""
    model, path = original
    return model, pathlib.Path(shutil.copytree(path, tmp_path / "1"))


class TestFine:
    def test_report(self, original: Any) -> None:
        model, path = original
        report = export.verify_servable(path, model)
        assert report.path == str(path)
        assert {*report.signatures} == {
            "depth",
            "seg",
            "serve",
            "serving_default",
        }
        assert report.parameters == model.inference_model.count_params()
        assert report.warmup_requests == 4
        assert report.loaders <= 1e-6
        assert report.model is not None
        assert report.model <= 1e-6
        text = str(report)
        assert f"{report.parameters:,} parameters" in text
        assert "seg: inputs float32[?, 4] -> seg float32[?, 3]" in text
        assert "model" not in str(export.verify_servable(path))

    def test_without_warmup_and_manifest(self, tmp_path: pathlib.Path) -> None:
        """Any SavedModel with a default signature may be verified."""
        model = dense_model()
        plain = model.inference_model
        archive = keras.export.ExportArchive()
        spec = tf.TensorSpec((None, 4), tf.float32, "inputs")
        archive.add_endpoint("serve", plain, [spec])
        archive.write_out(tmp_path / "1", verbose=False)
        report = export.verify_servable(tmp_path / "1", model)
        assert report.warmup_requests == 0
        assert report.model is not None

    def test_many_outputs_are_abbreviated(self) -> None:
        spec = {"dtype": "float32", "shape": [None, 3]}
        outputs = {f"arm_{i}": spec for i in range(10)}
        signatures = {"serve": {"inputs": {"x": spec}, "outputs": outputs}}
        text = str(export.ServableReport("p", signatures, 1, 1, 0, 0.0, None))
        assert "-> arm_0, arm_1, ..., arm_9 (10) float32[?, 3]" in text

    def test_images_and_their_bytes(self, tmp_path: pathlib.Path) -> None:
        model = image_model()
        path = export.write_servable(
            model, tmp_path, examples=images(2), signatures=["image_bytes"]
        )
        report = export.verify_servable(path, model)
        assert report.warmup_requests == 6
        assert report.loaders <= 1e-5


class TestWrong:
    def test_another_model(self, original: Any) -> None:
        model, path = original
        other = dense_model()
        other.head_bank.set_edge_weights(
            ("seg", "seg"),
            [w + 0.1 for w in model.head_bank.edge_weights(("seg", "seg"))],
        )
        with pytest.raises(ValueError, match="and the model answer differ"):
            export.verify_servable(path, other)

    def test_more_parameters_than_the_model(
        self, tmp_path: pathlib.Path
    ) -> None:
        inputs = keras.Input((4,))
        wide = keras.layers.Dense(9)(inputs)
        large = keras.Model(inputs, {"seg": keras.layers.Dense(2)(wide)})
        small = keras.Model(inputs, {"seg": keras.layers.Dense(2)(inputs)})
        path = export.write_servable(large, tmp_path)
        with pytest.raises(ValueError, match=r"65 parameters.* has 10"):
            export.verify_servable(path, small)

    def test_what_no_answer_needs(self, tmp_path: pathlib.Path) -> None:
        """As if clones had been exported along."""
        model = dense_model()
        plain = model.inference_model
        clone = keras.layers.Dense(3, name="clone")
        features = plain.get_layer("depth").input
        clone(features)
        both = keras.Model(
            plain.input, {**plain.output, "clone": clone(features)}
        )
        archive = keras.export.ExportArchive()

        def serve(x: Any) -> Any:
            answers = dict(both(x, training=False))
            del answers["clone"]
            return answers

        spec = tf.TensorSpec((None, 4), tf.float32, "inputs")
        archive.add_endpoint("serve", serve, [spec])
        archive.write_out(tmp_path / "1", verbose=False)
        with pytest.raises(ValueError, match=r"no answer needs.*clone"):
            export.verify_servable(tmp_path / "1")

    def test_weights_that_are_there_twice(self, tmp_path: pathlib.Path) -> None:
        dense_model().export(tmp_path / "1", verbose=False)
        with pytest.raises(ValueError, match="second copy of every weight"):
            export.verify_servable(tmp_path / "1")

    def test_products_that_the_model_does_not_have(
        self, tmp_path: pathlib.Path
    ) -> None:
        """As if a clone's weights had become constants."""
        inputs = keras.Input((4,), name="inputs")
        model = keras.Model(inputs, {"seg": keras.layers.Dense(2)(inputs)})

        def serve(x: Any) -> Any:
            tf.nn.relu(x @ tf.ones((4, 500)))
            return model(x)

        archive = keras.export.ExportArchive()
        spec = tf.TensorSpec((None, 4), tf.float32, "inputs")
        archive.add_endpoint("serve", serve, [spec])
        archive.write_out(tmp_path / "1", verbose=False)
        export.verify_servable(tmp_path / "1")
        with pytest.raises(ValueError, match="2 matrix products and conv"):
            export.verify_servable(tmp_path / "1", model)

    def test_a_model_of_other_tasks(self, original: Any) -> None:
        _, path = original
        with pytest.raises(ValueError, match=r"tasks \['depth', 'seg'\]"):
            export.verify_servable(path, dense_model(["seg", "sky"]))

    @pytest.mark.parametrize(
        "inputs",
        [
            keras.Input((5,)),
            keras.Input((4,), dtype="int32"),
            keras.Input((4,), name="other"),
        ],
    )
    def test_a_model_of_other_inputs(self, original: Any, inputs: Any) -> None:
        _, path = original
        x = keras.ops.cast(inputs, "float32")
        heads = {"depth": keras.layers.Dense(2), "seg": keras.layers.Dense(3)}
        other = keras.Model(inputs, {t: head(x) for t, head in heads.items()})
        with pytest.raises(ValueError, match=r"is not of this model.*inputs"):
            export.verify_servable(path, other)

    def test_examples_that_tell_nothing(self, tmp_path: pathlib.Path) -> None:
        """All models without biases answer zeros alike."""
        inputs = keras.Input((4,), name="inputs")
        layer = keras.layers.Dense(2, use_bias=False)
        model = keras.Model(inputs, {"seg": layer(inputs)})
        path = export.write_servable(
            model, tmp_path, examples=np.zeros((2, 4), "float32")
        )
        assert export.verify_servable(path, model).model < 1e-6
        layer.set_weights([3 * w + 1 for w in layer.get_weights()])
        with pytest.raises(ValueError, match="and the model answer differ"):
            export.verify_servable(path, model)

    def test_no_savedmodel(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ValueError, match="must be the folder of a SavedM"):
            export.verify_servable(tmp_path)

    def test_damaged_variables(self, copied: Any) -> None:
        _, path = copied
        file = path / "variables/variables.data-00000-of-00001"
        file.write_bytes(file.read_bytes()[:-40])
        with pytest.raises(ValueError, match="cannot be loaded or run"):
            export.verify_servable(path)

    def test_no_default_signature(self, tmp_path: pathlib.Path) -> None:
        module = tf.Module()
        tf.saved_model.save(module, str(tmp_path / "1"))
        with pytest.raises(ValueError, match="must have a signature 'serving"):
            export.verify_servable(tmp_path / "1")

    def test_signatures_of_another(self, copied: Any) -> None:
        _, path = copied
        file = path / "assets.extra/selfaux.json"
        content = json.loads(file.read_text())
        content["signatures"]["seg"]["inputs"]["inputs"]["shape"] = [None, 5]
        content["tasks"] = ["seg"]
        file.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"in \['seg', 'tasks'\]"):
            export.verify_servable(path)

    @pytest.mark.parametrize(
        "text", ["{", "[]", '{"format": 2}', '"a"', '{"format": 1}']
    )
    def test_damaged_manifest(self, copied: Any, text: str) -> None:
        _, path = copied
        (path / "assets.extra/selfaux.json").write_text(text)
        with pytest.raises(ValueError, match="must be a manifest as"):
            export.verify_servable(path)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[:-9],
            lambda data: data[:20] + b"\xff" + data[21:],
            lambda data: b"no records at all",
        ],
    )
    def test_damaged_warmup(self, copied: Any, damage: Any) -> None:
        _, path = copied
        file = path / WARMUP_FILE
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(ValueError, match="must hold warm-up requests"):
            export.verify_servable(path)

    @pytest.mark.parametrize(
        "request_",
        [
            Request("sge", {"inputs": vectors(2)}),
            Request("seg", {"image": vectors(2)}),
        ],
    )
    def test_warmup_of_another(self, copied: Any, request_: Request) -> None:
        _, path = copied
        write_warmup(path, "vectors", [request_])
        with pytest.raises(ValueError, match="do not fit its signatures"):
            export.verify_servable(path)

    def test_warmup_that_cannot_run(self, copied: Any) -> None:
        _, path = copied
        inputs = {"inputs": np.zeros((2, 7), "float32")}
        write_warmup(path, "vectors", [Request("seg", inputs)])
        with pytest.raises(ValueError, match="cannot be loaded or run"):
            export.verify_servable(path)

    @pytest.mark.parametrize("tolerance", [-1, "small"])
    def test_tolerance(self, original: Any, tolerance: Any) -> None:
        _, path = original
        with pytest.raises(ValueError, match="`tolerance` must be zero or"):
            export.verify_servable(path, tolerance=tolerance)


def test_serving_api_is_asked_for(
    original: Any, monkeypatch: Any, tmp_path: pathlib.Path
) -> None:
    model, path = original
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ImportError, match=r"keras_selfaux\[serving\]"):
        export.verify_servable(path)
    with pytest.raises(ImportError, match="or export without `examples`"):
        export.write_servable(model, tmp_path / "m", examples=vectors(2))
    assert not (tmp_path / "m").exists()
    export.write_servable(model, tmp_path / "m")


class TestCommand:
    def run(self, *arguments: str) -> str:
        values = flags.FLAGS
        if "tolerance" not in values:
            verify.define_flags(values)
        rest = values(["verify", *arguments])
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                verify.main(rest)
        finally:
            values.unparse_flags()
            for name in ("json", "tolerance"):
                values[name].value = values[name].default
        return output.getvalue()

    def test_prints_what_was_found(self, original: Any) -> None:
        _, path = original
        text = self.run(str(path), str(path))
        assert text.count(f"{path}: fine") == 2
        found = json.loads(self.run(str(path), "--json"))
        assert found["warmup_requests"] == 4

    def test_fails_if_one_is_not_fine(
        self, original: Any, tmp_path: pathlib.Path, capsys: Any
    ) -> None:
        _, path = original
        with pytest.raises(SystemExit, match="1"):
            self.run(str(tmp_path), str(path))
        captured = capsys.readouterr()
        assert f"error: '{tmp_path}' must be the folder" in captured.err
        with pytest.raises(app.UsageError, match="Name the folder"):
            self.run()

    @pytest.mark.slow
    def test_as_a_module(self, original: Any) -> None:
        _, path = original
        command = [sys.executable, "-m", "keras_selfaux.export.verify"]
        done = subprocess.run(
            [*command, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "4 warm-up requests run" in done.stdout
