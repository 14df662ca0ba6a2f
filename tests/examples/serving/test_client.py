"""The client as a program: its settings, files and messages."""

import json
import re

import numpy as np
import pytest
from matplotlib import image


class TestRun:
    def test_rows_of_numbers(self, run, served, capsys):
        answers = run("--x=0.5,-0.5;0.1,0.2")
        x = np.array([[0.5, -0.5], [0.1, 0.2]], np.float32)
        for task, value in served.model.predict(x, verbose=0).items():
            np.testing.assert_allclose(answers[task], value, atol=1e-5)
        lines = capsys.readouterr().out.splitlines()
        assert re.fullmatch(
            r"arms, version 1, signature serving_default: 2 rows in .* ms",
            lines[0],
        )
        assert lines[2].split() == [
            "arm_0",
            "2x3",
            *(f"{value:.6g}" for value in answers["arm_0"][0]),
        ]
        assert len(lines) == 6

    def test_wanted_tasks_label_and_version(self, run, capsys):
        assert {*run("--x=1,2", "--tasks=arm_1", "--version=1")} == {"arm_1"}
        assert "arm_0" not in capsys.readouterr().out

    @pytest.mark.parametrize("suffix", ["npy", "npz", "json"])
    def test_files(self, run, tmp_path, suffix, served):
        x = np.array([[0.5, -0.5], [0.1, 0.2]])
        path = tmp_path / f"x.{suffix}"
        if suffix == "npy":
            np.save(path, x)
        elif suffix == "npz":
            np.savez(path, inputs=x)
        else:
            path.write_text(json.dumps(x.tolist()))
        expected = served.model.predict(x, verbose=0)["arm_1"]
        answers = run(f"--input={path}")
        np.testing.assert_allclose(answers["arm_1"], expected, atol=1e-5)

    def test_several_inputs_from_a_file(self, run, tmp_path):
        path = tmp_path / "x.json"
        path.write_text('{"inputs": [[1, 2], [3, 4]], "number": [10, 20]}')
        answers = run(f"--input={path}", "--signature=sum")
        np.testing.assert_array_equal(answers["sum"], [13, 27])

    def test_whole_numbers(self, run, capsys):
        answers = run("--x=7;42", "--signature=named")
        assert answers["text"].tolist() == [b"7", b"42"]
        assert "b'42\\xff'" in capsys.readouterr().out

    def test_writes_answers_once(self, run, tmp_path):
        for name in ("answers.npz", "answers.json"):
            path = tmp_path / "new" / name
            answers = run("--x=1,2", f"--output={path}")
            if path.suffix == ".json":
                found = json.loads(path.read_text())
            else:
                with np.load(path) as arrays:
                    found = dict(arrays)
            assert {*found} == {*answers}
            for task, value in answers.items():
                np.testing.assert_allclose(found[task], value, atol=1e-6)
            with pytest.raises(FileExistsError, match="Pass --overwrite"):
                run("--x=1,2", f"--output={path}")
            run("--x=1,2", f"--output={path}", "--overwrite")
            assert len([*path.parent.iterdir()]) == (
                1 if path.suffix == ".npz" else 2
            )

    def test_texts_in_json(self, run, tmp_path):
        path = tmp_path / "answers.json"
        run("--x=7", "--signature=named", f"--output={path}")
        assert json.loads(path.read_text())["text"] == ["7"]

    def test_images_and_their_picture(self, run, tmp_path, pictures, capsys):
        path = tmp_path / "seen.png"
        answers = run(
            f"--images={','.join(pictures)}",
            f"--picture={path}",
            "--kinds=seg:classes,depth:depth,normal:normals,bright:attribute",
        )
        assert answers["seg"].shape == (2, 4, 4, 3)
        drawn = image.imread(path)
        assert drawn.shape[1] > drawn.shape[0] > 300
        assert drawn[..., :3].std() > 0.1
        out = capsys.readouterr().out
        assert "signature image_bytes: 2 rows" in out
        assert "mean" in out
        again = [f"--images={pictures[0]}", f"--picture={path}"]
        with pytest.raises(FileExistsError, match=r"seen\.png"):
            run(*again, "--kinds=seg:classes")

    def test_status(self, run, capsys):
        (entry,) = run("--status")
        assert entry.state == "AVAILABLE"
        assert capsys.readouterr().out == "version 1  AVAILABLE\n"

    def test_metadata(self, run, capsys):
        assert run("--metadata").version == 1
        out = capsys.readouterr().out
        assert "signature arm_0\n  in   inputs: float32 (?, 2)\n" in out
        assert "  out  arm_0: float32 (?, 3)\n" in out

    def test_a_table_of_many_rows(self, run, capsys, tmp_path):
        np.save(tmp_path / "x.npy", np.zeros((9, 2)))
        run(f"--input={tmp_path / 'x.npy'}", "--tasks=arm_1")
        assert "... 4 more" in capsys.readouterr().out
