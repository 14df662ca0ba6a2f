"""What `write_servable` writes, served and asked over real connections."""

import json
import pathlib
import threading
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from examples.serving._clients._serving_error import ServingError
from keras_selfaux import export
from tests.examples.serving.running import connect, start, states, wait_until
from tests.export.models import dense_model, image_model, images, messages


@pytest.fixture(scope="module")
def model() -> Any:
    """A trained model with clones."""
    trained = dense_model()
    trained.compile("adam", loss="mse")
    x = points(32)
    y = {"depth": x[:, :2], "seg": x[:, :3]}
    trained.fit(x, y, epochs=3, verbose=0)
    return trained


@pytest.fixture(scope="module")
def server(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = export.write_servable(
        model,
        tmp_path_factory.mktemp("served") / "arms",
        examples=points(8),
        signatures=["tf_examples"],
    )
    with start(model_name="arms", model_base_path=path.parent) as running:
        yield running


def points(count: int) -> Any:
    return np.random.default_rng(0).normal(size=(count, 4)).astype("float32")


def test_a_thousand_requests_of_many_sizes(server: Any, model: Any) -> None:
    x = points(20_000)
    expected = model.predict(x, batch_size=1000, verbose=0)
    generator = np.random.default_rng(1)
    sizes = [*generator.integers(1, 65, size=989), *[0] * 10, 10_000]
    generator.shuffle(sizes)

    def ask(client: Any, size: int) -> None:
        begin = generator.integers(0, len(x) - size + 1)
        part = slice(begin, begin + size)
        answers = client.predict({"inputs": x[part]})
        assert {*answers} == {*expected}
        for task, values in expected.items():
            assert answers[task].shape == values[part].shape
            np.testing.assert_allclose(
                answers[task], values[part], rtol=0, atol=1e-5
            )

    with connect(server, "grpc") as grpc, connect(server, "rest") as rest:
        for number, size in enumerate(sizes):
            # JSON has no empty batch with a shape.
            ask(grpc if number % 2 or not size else rest, int(size))


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_task_and_examples(server: Any, model: Any, protocol: str) -> None:
    x = points(3)
    with connect(server, protocol) as client:
        metadata = client.metadata()
        assert {*metadata.signatures} == {
            "depth",
            "seg",
            "serve",
            "serving_default",
            "tf_examples",
        }
        alone = client.predict({"inputs": x}, "seg")
        parsed = client.predict({"examples": messages(x)}, "tf_examples")
    wanted = model.predict(x, verbose=0)
    assert {*alone} == {"seg"}
    np.testing.assert_allclose(alone["seg"], wanted["seg"], atol=1e-5)
    for task in ("depth", "seg"):
        np.testing.assert_allclose(parsed[task], wanted[task], atol=1e-5)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_images_and_a_truncated_one(
    protocol: str, tmp_path: pathlib.Path
) -> None:
    model, x = image_model(), images(2)
    pixels = np.rint((x + 1) * 127.5).astype("uint8")
    encoded = [tf.io.encode_png(image).numpy() for image in pixels]
    jpeg = tf.io.encode_jpeg(pixels[0]).numpy()
    path = export.write_servable(
        model, tmp_path / "arms", examples=x, signatures=["image_bytes"]
    )
    wanted = model.predict(x, verbose=0)
    with (
        start(model_name="arms", model_base_path=path.parent) as server,
        connect(server, protocol) as client,
    ):
        for broken in (jpeg[: len(jpeg) // 2], encoded[0][:-20], b"text"):
            with pytest.raises(ServingError, match=r"(?i)jpeg|png|image"):
                client.predict({"image_bytes": [broken]}, "image_bytes")
            answers = client.predict({"image_bytes": encoded}, "image_bytes")
            for task, values in wanted.items():
                np.testing.assert_allclose(answers[task], values, atol=1e-5)


def test_versions_that_are_exported_while_requests_run(
    tmp_path: pathlib.Path,
) -> None:
    inputs = keras.Input((2,), name="inputs")
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, {"arm": layer(inputs)})
    base_path, x = tmp_path / "arms", np.ones((1, 2), "float32")
    expected, problems = {}, []

    def write(version: int) -> None:
        layer.set_weights([np.full((2, 1), float(version), "float32")])
        expected[version] = 2.0 * version
        export.write_servable(model, base_path, examples=x)

    write(1)
    done = threading.Event()
    with start(model_name="arms", model_base_path=base_path) as server:

        def ask() -> None:
            with connect(server, "grpc", retries=0) as client:
                while not done.is_set():
                    try:
                        (answer,) = client.predict({"inputs": x})["arm"]
                        assert answer[0] in expected.values()
                    except Exception as problem:
                        problems.append(problem)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for version in (2, 3):
                write(version)
                wait_until(
                    lambda v=version: states(server).get(v) == "AVAILABLE"
                )
        finally:
            done.set()
            asking.join()
        assert problems == []
        with connect(server, "grpc") as client:
            assert client.predict({"inputs": x})["arm"] == expected[3]
    notes = base_path / "3/assets.extra/selfaux.json"
    assert json.loads(notes.read_text())["model"] == "arms"
