"""Servables that take encoded images or messages, and names of inputs."""

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import export
from keras_selfaux.export._warmup import read_warmup
from tests.export.models import (
    TASKS,
    dense_model,
    image_model,
    images,
    signatures_of,
    vectors,
)


class TestImages:
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

    @pytest.mark.parametrize("listed", [False, True])
    def test_names_are_the_same_after_loading(
        self, tmp_path: pathlib.Path, listed: bool
    ) -> None:
        inputs = [keras.Input((2,)), keras.Input((3,))]
        x = keras.layers.Concatenate()(inputs) if listed else inputs[0]
        encoder = keras.Model(
            inputs if listed else x,
            {task: keras.layers.Dense(3)(x) for task in TASKS},
        )
        model = keras_selfaux.SelfAuxModel(
            encoder, {t: keras.layers.Dense(1) for t in TASKS}
        )
        arrays = [np.ones((2, 2), "float32"), np.ones((2, 3), "float32")]
        model(arrays if listed else arrays[0])
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        names = ["inputs_0", "inputs_1"] if listed else ["inputs"]
        for number, saved in enumerate([model, loaded], start=1):
            path = export.write_servable(saved, tmp_path / "model")
            found = json.loads((path / "assets.extra/selfaux.json").read_text())
            default = found["signatures"]["serving_default"]
            assert [*default["inputs"]] == names
            assert path.name == str(number)

    def test_batches_of_a_data_set(self, tmp_path: pathlib.Path) -> None:
        dataset = tf.data.Dataset.from_tensor_slices(vectors(6)).batch(4)
        path = export.write_servable(dense_model(), tmp_path, examples=dataset)
        counts = {len(inputs["inputs"]) for _, inputs in read_warmup(path)}
        assert counts == {1, 4}

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


class TestMessages:
    """`tf.train.Example`s of inputs of all kinds."""

    def test_texts_and_truths(self, tmp_path: pathlib.Path) -> None:
        inputs = {
            "word": keras.Input((2,), dtype="string", name="word"),
            "is_new": keras.Input((1,), dtype="bool", name="is_new"),
        }
        lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
        words = keras.layers.Embedding(3, 2)(lookup(inputs["word"]))
        both = keras.layers.Concatenate()(
            [
                keras.layers.Flatten()(words),
                keras.ops.cast(inputs["is_new"], "float32"),
            ]
        )
        model = keras.Model(inputs, {"seg": keras.layers.Dense(2)(both)})
        x = {
            "word": np.array([["a", "b"], ["c", "a"]]),
            "is_new": np.array([[True], [False]]),
        }
        path = export.write_servable(
            model, tmp_path, examples=x, signatures=["tf_examples"]
        )
        assert export.verify_servable(path, model).warmup_requests == 5

    @pytest.mark.parametrize(
        ("signature", "name"),
        [("tf_examples", "examples"), ("image_bytes", "image_bytes")],
    )
    def test_inputs_with_the_name_of_the_signature_s(
        self, tmp_path: pathlib.Path, signature: str, name: str
    ) -> None:
        image = keras.Input((8, 12, 3), name=name)
        model = keras.Model(image, {"seg": keras.layers.Conv2D(2, 1)(image)})
        path = export.write_servable(
            model, tmp_path, examples=images(2), signatures=[signature]
        )
        assert export.verify_servable(path, model).model < 1e-5


class Sum(export.Signature):
    """Answers with an output that the model does not have."""

    def endpoint(self, model: Any, specs: Any) -> Any:
        def call(x: Any) -> Any:
            answers = model(x, training=False)
            return {**answers, "sum": sum(map(tf.reduce_sum, answers.values()))}

        return call, [specs]

    def request(self, batch: Any, specs: Any) -> Any:
        return batch, batch


def test_a_signature_of_one_s_own(tmp_path: pathlib.Path) -> None:
    model, x = dense_model(), vectors(3)
    path = export.write_servable(
        model, tmp_path, examples=x, signatures=[Sum("sum")]
    )
    answers = signatures_of(path)["sum"](inputs=tf.constant(x))
    wanted = sum(np.sum(value) for value in model(x).values())
    assert float(answers["sum"]) == pytest.approx(wanted, rel=1e-5)
    assert export.verify_servable(path, model).warmup_requests == 6


def test_a_model_of_bytes(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((8, 12, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    model = keras.Model(inputs, {"seg": keras.layers.Conv2D(2, 1)(scaled)})
    x = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), "uint8")
    path = export.write_servable(
        model, tmp_path, examples=x, signatures=["image_bytes"]
    )
    encoded = tf.stack([tf.io.encode_png(image) for image in x])
    answers = signatures_of(path)["image_bytes"](image_bytes=encoded)
    assert np.allclose(answers["seg"], model(x)["seg"], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_images_without_colour_or_with_alpha(
    tmp_path: pathlib.Path, channels: int
) -> None:
    inputs = keras.Input((8, 12, channels))
    model = keras.Model(inputs, {"seg": keras.layers.Conv2D(2, 1)(inputs)})
    x = images(1)[..., :1].repeat(channels, axis=-1)
    path = export.write_servable(
        model, tmp_path, examples=x, signatures=["image_bytes"]
    )
    assert export.verify_servable(path, model).warmup_requests == 5


class TestErrors:
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

    def test_images_that_are_not_scaled(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ValueError, match="scales images from -1 to 1"):
            export.write_servable(
                image_model(),
                tmp_path / "model",
                examples=images(1) * 127.5 + 127.5,
                signatures=["image_bytes"],
            )
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize("size", ["ab", (5,), 5, (0, 8), (5.5, 6)])
    def test_sizes(self, size: Any) -> None:
        with pytest.raises(ValueError, match="`size` must be height and"):
            export.ImageBytes(size=size)
