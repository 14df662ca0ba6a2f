"""The local server's JSON: what it takes and gives, and what it refuses."""

import json

import numpy as np
import pytest
import requests

from tests.examples.serving.running import address

TOO_LARGE = f"/v1/models/arms/versions/{2**63}:predict"
GOOD = {"inputs": [[0.5, -0.5]]}


@pytest.fixture
def post(server):
    """Sends a body to the server, on a connection that stays open."""
    with requests.Session() as session:

        def send(body, path="/v1/models/arms:predict"):
            data = body if isinstance(body, str) else json.dumps(body)
            url = f"http://{address(server, 'rest')}{path}"
            response = session.post(url, data=data, timeout=10)
            return response.status_code, response.json()

        yield send
        assert send(GOOD)[0] == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "JSON Parse error"),
        ("{", "JSON Parse error"),
        ("[" * 100_000, "JSON Parse error"),
        ("[1]", "Is not object"),
        ({}, "expecting one of 'inputs' or 'instances'"),
        ({"inputs": [[1, 2]], "instances": [[1, 2]]}, "and only one"),
        ({"signature_name": 1, "inputs": [[1, 2]]}, "must be a string"),
        ({"signature_name": "nope", "inputs": [[1, 2]]}, "not found"),
        ({"instances": 1}, "to be a list"),
        ({"instances": []}, "No values in 'instances'"),
        ({"inputs": []}, "must have the shape [?,2], but [0]"),
        ({"instances": [[1, 2], [3]]}, "is ragged"),
        ({"instances": [[1, 2], 3]}, "is ragged"),
        ({"instances": [[1, "a"]]}, '"a" is not of expected type: float32'),
        ({"instances": [[1, None]]}, "null is not of expected type"),
        ({"instances": [[True, 1]]}, "true is not of expected type"),
        ({"instances": [[1e300, 1]]}, "out of the range of float32"),
        ({"instances": [[1, 2], {"inputs": [1, 2]}]}, "mixes objects"),
        ({"instances": [{"inputs": [1, 2]}, [1, 2]]}, "element: 1 of"),
        ({"instances": [{"other": [1, 2]}]}, "element: 0 of"),
        ({"inputs": {"other": [[1, 2]]}}, "['other'] instead of ['inputs']"),
    ],
)
def test_json_that_does_not_fit(post, body, message):
    status, answer = post(body)
    assert status == 400
    assert message in answer["error"]


@pytest.mark.parametrize("key", ["inputs", "instances"])
@pytest.mark.parametrize(
    ("signature", "values", "message"),
    [
        ("image_bytes", [{"b64": "A"}], "Unable to base64 decode"),
        ("image_bytes", [{"b64": "?"}], "Unable to base64 decode"),
        ("image_bytes", [[{"b65": "AAAA"}]], "nor an object"),
        ("image_bytes", [1], "1 is neither a string"),
        ("named", [1.5], "1.5 is not of expected type: int32"),
        ("named", [2**31], "out of the range of int32"),
        ("sum", [[1, 2]], "has no names, but the signature has several"),
    ],
)
def test_json_of_other_kinds(post, signature, key, values, message):
    status, answer = post({"signature_name": signature, key: values})
    assert status == 400
    assert message in answer["error"]


def test_rows_and_columns(post, served):
    expected = served.model.predict(np.array([[0.5, -0.5]]), verbose=0)
    values = {task: value[0].tolist() for task, value in expected.items()}
    _, rows = post({"instances": [[0.5, -0.5]]})
    _, columns = post({"inputs": {"inputs": [[0.5, -0.5]]}})
    assert rows["predictions"][0].keys() == values.keys()
    for task, value in values.items():
        assert rows["predictions"][0][task] == pytest.approx(value, abs=1e-6)
        assert columns["outputs"][task][0] == pytest.approx(value, abs=1e-6)
    _, single = post({"instances": [[0.5, -0.5]], "signature_name": "arm_0"})
    assert single["predictions"][0] == pytest.approx(values["arm_0"], abs=1e-6)
    several = [{"inputs": [1, 2], "number": 3}, {"inputs": [4, 5], "number": 6}]
    _, sums = post({"signature_name": "sum", "instances": several})
    assert sums == {"predictions": [6.0, 15.0]}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/models", 400, "Malformed request: GET /v1/models"),
        ("GET", "/other", 400, "Malformed request"),
        ("POST", "/v1/models/arms:classify", 400, "Malformed request: POST"),
        (
            "POST",
            f"/v1/models/arms/versions/{2**63}:predict",
            400,
            "to numeric",
        ),
        ("POST", "/v1/models/nope:predict", 404, "Latest(nope)"),
        ("GET", "/v1/models/nope/metadata", 404, "Latest(nope)"),
        ("GET", "/v1/models/arms/versions/7", 404, "version 7 of model arms"),
        ("PUT", "/v1/models/arms", 501, "Unsupported method"),
    ],
)
def test_wrong_paths(server, method, path, status, message):
    response = requests.request(
        method,
        f"http://{address(server, 'rest')}{path}",
        data=json.dumps(GOOD) if method == "POST" else None,
        timeout=10,
    )
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert message in response.json()["error"]


def test_a_body_of_unknown_length(server):
    response = requests.post(
        f"http://{address(server, 'rest')}/v1/models/arms:predict",
        data=iter([b"{}"]),
        timeout=10,
    )
    assert response.status_code == 400
    assert "Content-Length" in response.json()["error"]
