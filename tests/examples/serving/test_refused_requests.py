"""Requests that the server refuses, and says why; the next one works."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2

from examples.serving._clients._client import Target
from examples.serving._clients._serving_error import ServingError
from examples.serving._server._servable import arrays
from tests.examples.serving.images import jpeg
from tests.examples.serving.running import CLIENTS, address, connect

GOOD = {"inputs": [[0.5, -0.5]]}


@pytest.fixture
def raw(server, protocol):
    """A client that leaves all checks to the server."""

    class Unchecked(CLIENTS[protocol]):
        def send(self, inputs, signature="serving_default", tasks=()):
            arrays = {name: np.asarray(a) for name, a in inputs.items()}
            wanted = self.metadata().signatures["serving_default"]
            request = self._request(arrays, signature, wanted, tasks)
            return self._ask(request, wanted, tasks, 10.0)

    target = Target(server=address(server, protocol), model="arms")
    with Unchecked(target) as client:
        yield client
        assert {*client.predict(GOOD)} == {"arm_0", "arm_1"}


def points(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"inputs": points(1, 3)}, r"the shape \[\?,2\], but \[1,3\] is"),
        ({"inputs": points(2)}, r"the shape \[\?,2\], but \[2\] is"),
        ({"other": points(1, 2)}, r"'other'. instead of .'inputs'"),
        ({"inputs": points(1, 2), "b": points(1)}, "names do not match"),
        ({"inputs": np.array([["a", "b"]], object)}, "float32"),
    ],
)
def test_inputs_that_do_not_fit(raw, inputs, reason):
    pattern = f"refused.* INVALID_ARGUMENT: .*{reason}"
    with pytest.raises(ServingError, match=pattern):
        raw.send(inputs)


def test_an_unknown_signature(raw):
    with pytest.raises(ServingError, match='"nope" not found'):
        raw.send({"inputs": points(1, 2)}, signature="nope")


def test_other_dtypes_are_not_converted_by_grpc(server):
    with connect(server, "grpc") as client:
        metadata = client.metadata()
        wanted = metadata.signatures["serving_default"]
        inputs = {"inputs": points(1, 2, dtype=np.float64)}
        request = client._request(inputs, "serving_default", wanted, ())
        message = "'inputs' must be float32, but float64 is provided"
        with pytest.raises(ServingError, match=message):
            client._ask(request, wanted, (), 10.0)


def test_wrong_outputs_and_broken_tensors_by_grpc(server):
    with connect(server, "grpc") as client:
        wanted = client.metadata().signatures["serving_default"]
        inputs = {"inputs": points(1, 2)}

        def ask(tasks, change=lambda request: None):
            request = client._request(inputs, "serving_default", wanted, tasks)
            change(request)
            return client._ask(request, wanted, tasks, 10.0)

        def lie(request):
            shape = request.inputs["inputs"].tensor_shape
            shape.dim[0].size = 7

        message = "alias not found in signature: nope"
        with pytest.raises(ServingError, match=message):
            ask(["nope"])
        with pytest.raises(ServingError, match="duplicate output"):
            ask(["arm_0", "arm_0"])
        with pytest.raises(ServingError, match="tensor parsing error: inputs"):
            ask([], lie)
        assert ask(["arm_0"])["arm_0"].shape == (1, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nope"}, "no such model.*for request: Latest.nope."),
        ({"version": 7}, "no such model.*for request: Specific.arms, 7."),
        ({"label": "canary"}, "Unrecognized servable version label: canary"),
    ],
)
def test_unknown_models_versions_and_labels(server, protocol, changes, message):
    with (
        connect(server, protocol, **changes) as client,
        pytest.raises(ServingError, match=message),
    ):
        client.predict(GOOD)


def test_the_status_of_what_is_not_there(server, protocol):
    for changes, message in (
        ({"model": "nope"}, "Could not find any versions of model nope"),
        ({"version": 7}, "Could not find version 7 of model arms"),
    ):
        with (
            connect(server, protocol, **changes) as client,
            pytest.raises(ServingError, match=message),
        ):
            client.status()


@pytest.mark.parametrize("data", [b"no image", jpeg()[:-200], b""])
def test_images_that_cannot_be_decoded(client, data):
    message = "INVALID_ARGUMENT: .*(image|JPEG|Input is empty)"
    with pytest.raises(ServingError, match=message):
        client.predict({"image_bytes": [data]}, "image_bytes")
    whole = client.predict({"image_bytes": [jpeg()]}, "image_bytes")
    assert whole["seg"].shape == (1, 4, 4, 3)


def test_other_metadata_by_grpc(server):
    with connect(server, "grpc") as client:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = "arms"
        with pytest.raises(ServingError, match="'signature_def' alone"):
            client._call(client._predictions.GetModelMetadata, request, 10.0)
        request.ClearField("model_spec")
        request.metadata_field.append("signature_def")
        with pytest.raises(ServingError, match="no name specified"):
            client._call(client._predictions.GetModelMetadata, request, 10.0)


def test_tensors_are_parsed_as_tensorflow_writes_them():
    proto = tf.make_tensor_proto(1.5, shape=[2, 2])
    np.testing.assert_array_equal(arrays({"x": proto})["x"], [[1.5] * 2] * 2)
