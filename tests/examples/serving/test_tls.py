import ssl

import grpc
import pytest
import trustme

from examples.serving._clients._client import Target
from examples.serving._clients._serving_error import ServingError
from examples.serving.local_server import Config, LocalServer
from tests.examples.serving.running import CLIENTS, address

X = {"inputs": [[0.5, -0.5]]}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    """The path of what a client is to trust."""
    path = tmp_path_factory.mktemp("tls") / "root.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def secured(authority, version_1):
    """A server that takes secured connections alone."""
    config = Config(
        host="127.0.0.1",
        port=0,
        rest_api_port=0,
        model_name="arms",
        model_base_path=str(version_1.parent),
    )
    issued = authority.issue_cert("localhost", "127.0.0.1")
    key = issued.private_key_pem.bytes()
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(key, chain)])
    with LocalServer(config, credentials) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
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
