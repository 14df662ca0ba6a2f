import concurrent.futures

import numpy as np
import pytest

from tests.examples.serving.running import connect

SIGNATURE = "serving_default"


def points(num_rows, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_rows, 2)).astype(np.float32)


def assert_equal(answers, expected):
    assert {*answers} == {*expected}
    for task, value in expected.items():
        assert answers[task].dtype == np.float32
        np.testing.assert_allclose(answers[task], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_rows", [1, 2, 64])
def test_answers_like_the_model(client, served, num_rows):
    x = points(num_rows)
    expected = served.model.predict(x, verbose=0)
    assert_equal(client.predict({"inputs": x}), expected)
    assert_equal(client.predict({"inputs": x}, "serve"), expected)


def test_ten_thousand_rows(client, served):
    x = points(10_000)
    expected = served.model.predict(x, batch_size=10_000, verbose=0)
    assert_equal(client.predict({"inputs": x}), expected)


def test_more_than_four_mebibytes_by_grpc(server):
    x = points(600_000)
    with connect(server, "grpc") as client:
        answers = client.predict({"inputs": x}, tasks=["arm_0"])
    assert answers["arm_0"].nbytes > x.nbytes > 4 * 2**20


def test_many_clients_at_once(server, protocol, served):
    x = points(320)
    expected = served.model.predict(x, verbose=0)

    def ask(part):
        with connect(server, protocol) as client:
            return [client.predict({"inputs": x[part]}) for _ in range(5)]

    parts = [slice(start, start + 20) for start in range(0, 320, 20)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for part, answers in zip(parts, pool.map(ask, parts), strict=True):
            for answer in answers:
                assert_equal(answer, {t: v[part] for t, v in expected.items()})


def test_only_the_tasks_that_are_wanted(client, served):
    x = points(3)
    answers = client.predict({"inputs": x}, tasks=["arm_1"])
    expected = served.model.predict(x, verbose=0)
    assert_equal(answers, {"arm_1": expected["arm_1"]})


def test_a_signature_with_one_task_keeps_its_name(client, served):
    x = points(3)
    answers = client.predict({"inputs": x}, "arm_0")
    expected = served.model.predict(x, verbose=0)
    assert_equal(answers, {"arm_0": expected["arm_0"]})


def test_numbers_are_converted_within_their_kind(client, served):
    x = [[1, 2], [3, 4]]
    expected = served.model.predict(np.array(x, np.float32), verbose=0)
    assert_equal(client.predict({"inputs": x}), expected)
    assert_equal(client.predict({"inputs": np.array(x, float)}), expected)


def test_what_is_not_finite_passes(client):
    x = np.array([[np.nan, 0], [np.inf, 0], [-np.inf, 0]], np.float32)
    answers = client.predict({"inputs": x, "number": [1, 1, 1]}, "sum")
    np.testing.assert_array_equal(answers["sum"], [np.nan, np.inf, -np.inf])


def test_several_inputs(client):
    inputs = {"inputs": [[1.0, 2.0], [3.0, 4.0]], "number": [10, 20]}
    np.testing.assert_array_equal(
        client.predict(inputs, "sum")["sum"], [13, 27]
    )


def test_texts_and_bytes(client):
    answers = client.predict({"number": [7, 42]}, "named")
    assert answers["text"].tolist() == [b"7", b"42"]
    assert answers["raw_bytes"].tolist() == [b"7\xff", b"42\xff"]


def test_an_empty_batch_by_grpc(server):
    with connect(server, "grpc") as client:
        answers = client.predict({"inputs": np.zeros((0, 2), np.float32)})
    shapes = {task: value.shape for task, value in answers.items()}
    assert shapes == {"arm_0": (0, 3), "arm_1": (0, 1)}


def test_metadata(client):
    metadata = client.metadata()
    assert metadata.version == 1
    assert {*metadata.signatures} == {
        "arm_0",
        "image_bytes",
        "named",
        "serve",
        "serving_default",
        "sum",
    }
    signature = metadata.signatures["serving_default"]
    assert str(signature.inputs["inputs"]) == "float32 (?, 2)"
    assert signature.outputs["arm_0"].shape == (None, 3)
    images = metadata.signatures["image_bytes"].inputs["image_bytes"]
    assert str(images) == "string (?,)"


def test_status(client):
    (entry,) = client.status()
    assert (entry.version, entry.state, entry.message) == (1, "AVAILABLE", "")
