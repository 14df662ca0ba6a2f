import json
import pathlib

import numpy as np
import pytest

from keras_selfaux.callbacks._checkpoint import CheckpointFolder

CONTENT = {
    "position": [3, 1],
    "best": float("inf"),
    "nothing": None,
    "history": {"loss": [0.1, float("nan")], "is_on": [True, False]},
    "weights": [np.arange(6, dtype="float16").reshape(2, 3), np.float32(0.1)],
    "names": ("a", "b"),
}


def write(folder: CheckpointFolder, content: object, text: str = "w") -> None:
    folder.write(content, lambda path: path.write_text(text))


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path / "new" / "folder")
    assert folder.read() is None
    write(folder, CONTENT, "weights")
    checkpoint = folder.read()
    assert checkpoint is not None
    assert checkpoint.weights.read_text() == "weights"
    found = checkpoint.content
    for name in ("position", "best", "nothing"):
        assert found[name] == CONTENT[name]
    assert found["history"]["loss"][0] == 0.1
    assert np.isnan(found["history"]["loss"][1])
    assert found["history"]["is_on"] == [True, False]
    assert found["names"] == ["a", "b"]
    for value, wanted in zip(found["weights"], CONTENT["weights"], strict=True):
        assert value.dtype == wanted.dtype
        np.testing.assert_array_equal(value, wanted)


def test_keeps_one_or_two(tmp_path: pathlib.Path) -> None:
    single, double = (
        CheckpointFolder(tmp_path / name, keep_previous=name == "double")
        for name in ("single", "double")
    )
    for folder, count in ((single, 3), (double, 6)):
        for number in range(4):
            write(folder, {"number": number})
        assert len(list(folder.path.iterdir())) == count
        assert folder.read().content == {"number": 3}
        folder.remove()
        assert not folder.path.exists()


def test_a_failure_leaves_the_checkpoint_before(
    tmp_path: pathlib.Path,
) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, {"number": 1})
    before = sorted(tmp_path.iterdir())

    def fail(path: pathlib.Path) -> None:
        path.write_text("half of")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=rf"'{tmp_path}'.*No space.*Make room"):
        folder.write({"number": 2}, fail)
    assert sorted(tmp_path.iterdir()) == before
    assert folder.read().content == {"number": 1}


def test_what_the_dead_leave_is_removed(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, {"number": 1})
    (tmp_path / "2-.weights.h5").write_text("half of")
    assert folder.read().content == {"number": 1}
    write(folder, {"number": 2})
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "somebody-elses.txt").write_text("")
    folder.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses.txt"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: "{",
        lambda record: "[]",
        lambda record: json.dumps({**record, "format": 2}),
        lambda record: json.dumps({**record, "files": {}}),
        lambda record: json.dumps({**record, "content": {"array": "other"}}),
        lambda record: json.dumps({**record, "content": {"a": 1, "b": 2}}),
    ],
)
def test_damage_is_named(tmp_path: pathlib.Path, damage: object) -> None:
    folder = CheckpointFolder(tmp_path, keep_previous=True)
    write(folder, {"number": 1})
    write(folder, {"number": 2})
    path = tmp_path / "checkpoint.json"
    path.write_text(damage(json.loads(path.read_text())))
    assert folder.read().content == {"number": 1}
    (tmp_path / "previous.json").unlink()
    with pytest.raises(ValueError, match=r"is damaged.*checkpoint\.json"):
        folder.read()
    assert path.exists()


def test_names_do_not_lead_elsewhere(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path / "folder")
    write(folder, {"number": 1})
    path = folder.path / "checkpoint.json"
    record = json.loads(path.read_text())
    weights = record["files"]["weights"]
    (tmp_path / weights["name"]).write_text("w")
    (folder.path / weights["name"]).unlink()
    weights["name"] = f"../{weights['name']}"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="is damaged"):
        folder.read()
