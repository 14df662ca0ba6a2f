import pathlib

import pytest

from keras_selfaux._files import naming_weights, write_json, written_at_once


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


@pytest.mark.parametrize(
    "problem", [MemoryError(), PermissionError(13, "no"), OSError(5, "disk")]
)
def test_what_is_no_damage_is_told_as_it_is(problem: Exception) -> None:
    with pytest.raises(type(problem)) as found, naming_weights("a.h5"):
        raise problem
    assert found.value is problem


@pytest.mark.parametrize("problem", [OSError("cut short"), RuntimeError("h5")])
def test_damaged_weights_are_named(problem: Exception) -> None:
    message = "'a.h5' does not hold the weights of this model. Received: .*Err"
    with pytest.raises(ValueError, match=message), naming_weights("a.h5"):
        raise problem
