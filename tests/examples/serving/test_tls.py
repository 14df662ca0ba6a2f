import ssl

import grpc
import pytest

from examples.serving._client import Target
from examples.serving._serving_error import ServingError
from examples.serving.local_server import Config, LocalServer
from tests.examples.serving.certificates import CERTIFICATE, KEY
from tests.examples.serving.running import CLIENTS, address

X = {"inputs": [[0.5, -0.5]]}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_text(CERTIFICATE)
    path.with_name("key.pem").write_text(KEY)
    return path


@pytest.fixture(scope="module")
def secured(certificates, version_1):
    """A server that takes secured connections alone."""
    config = Config(
        host="127.0.0.1",
        port=0,
        rest_api_port=0,
        model_name="arms",
        model_base_path=str(version_1.parent),
    )
    pair = (KEY.encode(), CERTIFICATE.encode())
    credentials = grpc.ssl_server_credentials([pair])
    with LocalServer(config, credentials) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates, certificates.with_name("key.pem"))
        # As a proxy before TensorFlow Serving's REST would be.
        server._rest.socket = context.wrap_socket(
            server._rest.socket, server_side=True
        )
        yield server


def connect(server, protocol, **settings):
    settings = {"retries": 0, "deadline": 5.0, **settings}
    server = address(server, protocol)
    return CLIENTS[protocol](Target(server=server, model="arms", **settings))


def test_with_the_certificate(secured, protocol, certificates):
    path = str(certificates)
    with connect(secured, protocol, certificates=path) as client:
        assert {*client.predict(X)} == {"arm_0", "arm_1"}


@pytest.mark.parametrize("trusted", ["", None])
def test_without_it(secured, protocol, trusted):
    message = "cannot be reached"
    if protocol == "rest" and trusted is not None:
        message = r"could not be secured.*CERTIFICATE_VERIFY_FAILED"
    with (
        connect(secured, protocol, certificates=trusted) as client,
        pytest.raises(ServingError, match=message),
    ):
        client.predict(X)


def test_a_certificate_that_is_missing(protocol):
    target = Target(server="localhost:1", model="arms", certificates="no.pem")
    message = "`root_certificates` cannot be read.*'no.pem'"
    with pytest.raises(ValueError, match=message):
        CLIENTS[protocol](target)
