"""What the client tells whoever asks wrongly."""

import http.server
import threading

import numpy as np
import pytest

from examples.serving import client
from examples.serving._clients._client import Target
from examples.serving._clients._inputs import from_images
from examples.serving._clients._rest_client import RestClient
from examples.serving._clients._serving_error import ServingError
from examples.serving._clients._signatures import Signature, Tensor
from tests.examples.serving.images import jpeg, png
from tests.examples.serving.running import address


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--x=1,2,3"], r"'inputs' must be of shape \(\?, 2\).*\(1, 3\)"),
            (["--x=1,2;3"], "`x` must be rows of equally many numbers"),
            (["--x=1,a"], "`x` must be rows of equally many numbers"),
            (["--x=1.5", "--signature=named"], "whole numbers of 64 bits"),
            (["--x=1", "--signature=image_bytes"], "'image_bytes' must be str"),
            (["--x=1,2", "--signature=no"], "no signature of that.*serve"),
            (["--x=1,2", "--tasks=arm_9"], "no task of that name.*'arm_9'"),
            (["--x=1,2", "--signature=sum"], "several inputs, so that each"),
            (["--input=x.txt"], "`input` must be a file that ends with"),
            (["--input=away.npy"], "`input` cannot be read.*away.npy"),
            (["--images=away.jpg"], "must be files that can be read.*away.jpg"),
            (["--images=setup.cfg"], "must be JPEG or PNG files.*setup.cfg"),
        ],
    )
    def test_inputs(self, run, arguments, message):
        with pytest.raises(ValueError, match=message):
            run(*arguments)

    def test_dtypes_are_told_before_anything_is_sent(self, run, tmp_path):
        for array, message in (
            (np.array([[1j, 0]]), "'inputs' must be float32.*complex128"),
            (np.array([["a", "b"]]), "'inputs' must be float32"),
        ):
            np.save(tmp_path / "x.npy", array)
            with pytest.raises(ValueError, match=message):
                run(f"--input={tmp_path / 'x.npy'}")
        np.save(tmp_path / "x.npy", np.array([1.5]))
        with pytest.raises(ValueError, match="'number' must be int32"):
            run(f"--input={tmp_path / 'x.npy'}", "--signature=named")

    def test_files_that_hold_something_else(self, run, tmp_path):
        for name, content, message in (
            ("x.npy", b"no array", "`input` cannot be read"),
            ("x.npz", b"no archive", "`input` cannot be read"),
            ("x.json", b"{", "`input` cannot be read"),
            ("x.json", b"[[1, 2], [3]]", "lists of equal length"),
            ("x.json", b'{"other": [1]}', r"\['other'\] instead of"),
        ):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=message):
                run(f"--input={tmp_path / name}")

    @pytest.mark.parametrize("encode", [jpeg, png])
    def test_images_without_their_end(self, run, tmp_path, encode):
        path = tmp_path / "cut"
        path.write_bytes(encode()[:-100])
        with pytest.raises(ValueError, match="`images` must be whole files"):
            run(f"--images={path}")

    def test_images_where_none_are_taken(self, run, pictures):
        with pytest.raises(ValueError, match="takes no encoded images"):
            run(f"--images={pictures[0]}", "--signature=serve")

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("nope:classes", "must name tasks that the model answers"),
            ("depth:normals", "'depth' what its answer cannot be"),
            ("seg:attribute", "'seg' what its answer cannot be"),
        ],
    )
    def test_kinds(self, run, tmp_path, pictures, kind, message):
        with pytest.raises(ValueError, match=message):
            run(
                f"--images={pictures[0]}",
                f"--picture={tmp_path / 'p.png'}",
                f"--kinds={kind}",
            )

    def test_an_empty_batch_by_rest(self, server, tmp_path):
        np.save(tmp_path / "x.npy", np.zeros((0, 2)))
        config = client.Config(
            server=address(server, "rest"),
            protocol="rest",
            model="arms",
            input=str(tmp_path / "x.npy"),
        )
        with pytest.raises(ValueError, match="is empty, and JSON cannot tell"):
            client.run(config)


class TestConfig:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model": ""}, "There must be a `model` and one question"),
            ({"x": ""}, "There must be a `model` and one question"),
            ({"status": True}, r"questions \['x', 'status'\]"),
            ({"version": "a"}, "`version` must be a whole number"),
            ({"version": "1", "label": "stable"}, "without a `label`"),
            ({"deadline": 0.0}, "`deadline` must be a positive number"),
            ({"retries": -1}, "`retries` must be an integer of at least 0"),
            ({"protocol": "smtp"}, "`protocol` must be one of"),
            ({"output": "a.txt"}, "`output` must be a file that ends with"),
            (
                {"picture": "a.png"},
                "the `kinds` of their answers go",
            ),
            (
                {"kinds": ("seg",)},
                "the `kinds` of their answers go",
            ),
            ({"root_certificates": "a.pem"}, "are for secured connections"),
            ({"version": "9" * 20}, "`version` must be a whole number"),
        ],
    )
    def test_values(self, changes, message):
        settings = {"model": "arms", "x": "1,2", **changes}
        with pytest.raises(ValueError, match=message):
            client.Config(**settings)

    def test_ports_are_those_of_the_protocol(self):
        config = client.Config(model="arms", status=True)
        assert config.target.server == "localhost:8500"
        config = client.Config(model="arms", status=True, protocol="rest")
        assert config.target.server == "localhost:8501"
        assert config.target.certificates is None
        config = client.Config(model="arms", status=True, tls=True)
        assert config.target.certificates == ""


@pytest.mark.parametrize(
    "server",
    ["", "localhost", "a b:1", "localhost:x", "localhost:99999", "[::1:80"],
)
def test_servers(server):
    with pytest.raises(ValueError, match="`server` must be a host and a port"):
        Target(server=server, model="arms")
    assert Target(server="[::1]:8500", model="arms").deadline == 10


@pytest.mark.parametrize("deadline", [0.0, float("inf"), float("nan"), 1e10])
def test_deadlines(deadline):
    with pytest.raises(ValueError, match="`deadline` must be seconds"):
        Target(server="localhost:1", model="arms", deadline=deadline)


def test_what_follows_an_image_does_not_matter(tmp_path):
    """Phones append films to photos."""
    data = jpeg() + b"\xff\xda" + bytes(2000)
    signature = Signature({"image_bytes": Tensor("string", (None,))}, {})
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert from_images([str(path)], signature)["image_bytes"][0] == data


@pytest.mark.parametrize("value", [2**31, -(2**40), 2**62])
def test_whole_numbers_do_not_wrap(client, value):
    with pytest.raises(ValueError, match="'number' has a number out of"):
        client.predict({"number": [7, value]}, "named")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "b.npz"])
def test_damaged_files(run, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04" if name == "b.npz" else b"")
    with pytest.raises(ValueError, match="`input` cannot be read"):
        run(f"--input={path}")


def test_folders_are_no_output(run, tmp_path):
    folder = tmp_path / "answers.npz"
    folder.mkdir()
    with pytest.raises(ValueError, match="which is a folder"):
        run("--x=1,2", f"--output={folder}")
    assert list(tmp_path.iterdir()) == [folder]


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers as no TensorFlow Serving would."""

    protocol_version = "HTTP/1.1"
    body = b""
    length = 0

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.length or len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        (b'{"metadata": {}}', 0, "none of TensorFlow Serving's: KeyError"),
        (b'{"metadata": 3, "model_spec": {}}', 0, "none of TensorFlow Serv"),
        (b'{"metadata"', 100, "cannot be reached.*UNAVAILABLE"),
    ],
)
def test_answers_of_something_else(body, length, message):
    handler = type("Handler", (Broken,), {"body": body, "length": length})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(
            server=f"127.0.0.1:{server.server_port}", model="arms", retries=0
        )
        with (
            RestClient(target) as client,
            pytest.raises(ServingError, match=message),
        ):
            client.metadata()
        server.shutdown()
