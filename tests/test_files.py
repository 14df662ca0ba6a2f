import pathlib

import pytest

from keras_selfaux._files import write_json, written_at_once


def test_a_file_appears_at_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "folder" / "file.json"
    with written_at_once(path) as unfinished:
        unfinished.write_text("new")
        assert not path.exists()
        assert unfinished.suffix == path.suffix
    assert path.read_text() == "new"
    assert [*path.parent.iterdir()] == [path]


def test_a_failure_leaves_what_was_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with written_at_once(path) as unfinished:
            unfinished.write_text("half of")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=rf"'{path}' could not be.*No space left"):
        fail()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "results.json"
    with pytest.raises(OSError, match=rf"'{path}' could not be written"):
        write_json(path, {})
