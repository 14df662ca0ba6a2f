"""What the client tells whoever asks wrongly."""

import numpy as np
import pytest

from examples.serving import client
from examples.serving._clients._inputs import from_images
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
            (["--x=1.5", "--signature=named"], "whole numbers for this model"),
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
            ({"picture": "a.png"}, "`picture` needs `images` and the `kinds`"),
            ({"kinds": ("seg",)}, "must be one of"),
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


def test_a_preview_does_not_pass_for_the_end(tmp_path):
    preview = b"\xff\xe1" + jpeg()[2:]
    data = b"\xff\xd8" + preview + jpeg()[2:]
    signature = Signature({"image_bytes": Tensor("string", (None,))}, {})
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert from_images([str(path)], signature)["image_bytes"][0] == data
    path.write_bytes(data[:-50])
    with pytest.raises(ValueError, match="whole files"):
        from_images([str(path)], signature)
