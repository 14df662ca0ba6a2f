import json
import pathlib

import ml_dtypes
import numpy as np
import pytest

from keras_selfaux.callbacks._checkpoint import CheckpointFolder

CONTENT = {
    "position": [3, 1],
    "best": float("inf"),
    "nothing": None,
    "history": {"loss": [0.1, float("nan")], "is_on": [True, False]},
    "weights": [
        np.arange(6, dtype="float16").reshape(2, 3),
        np.float32(0.1),
        np.arange(3).astype(ml_dtypes.bfloat16),
    ],
    "names": ("a", "b"),
}


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path / "new" / "folder")
    assert folder.read() is None
    folder.write(CONTENT)
    found = folder.read()
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
    for folder, count in ((single, 2), (double, 4)):
        for number in range(4):
            folder.write({"number": number})
        assert len(list(folder.path.iterdir())) == count
        assert folder.read() == {"number": 3}
        folder.remove()
        assert not folder.path.exists()


def test_a_failure_leaves_the_checkpoint_before(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write({"number": 1})
    before = sorted(tmp_path.iterdir())

    def fail(path: pathlib.Path, **_: object) -> None:
        path.write_text("half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match=rf"'{tmp_path}'.*No space.*Make room"):
        folder.write({"number": 2})
    assert sorted(tmp_path.iterdir()) == before
    assert folder.read() == {"number": 1}


def test_what_the_dead_leave_is_removed(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write({"number": 1})
    (tmp_path / "2.npz").write_text("half of")
    assert folder.read() == {"number": 1}
    folder.write({"number": 2})
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "somebody-elses.txt").write_text("")
    folder.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses.txt"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: "{",
        lambda record: "[]",
        lambda record: json.dumps({**record, "format": 2}),
        lambda record: json.dumps({**record, "arrays": "9.npz"}),
        lambda record: json.dumps(
            {**record, "content": {"array": ["other", "int8"]}}
        ),
        lambda record: json.dumps({**record, "content": {"a": 1, "b": 2}}),
    ],
)
def test_damage_is_named(tmp_path: pathlib.Path, damage: object) -> None:
    folder = CheckpointFolder(tmp_path, keep_previous=True)
    folder.write({"number": 1})
    folder.write({"number": 2})
    path = tmp_path / "checkpoint.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.warns(UserWarning, match="Going on from the one before"):
        assert folder.read() == {"number": 1}
    (tmp_path / "previous.json").unlink()
    with pytest.raises(ValueError, match=r"is damaged.*checkpoint\.json"):
        folder.read()
    assert path.exists()


def test_names_do_not_lead_elsewhere(tmp_path: pathlib.Path) -> None:
    folder = CheckpointFolder(tmp_path / "folder")
    folder.write({"number": 1})
    path = folder.path / "checkpoint.json"
    record = json.loads(path.read_text())
    name = record["arrays"]
    (folder.path / name).rename(tmp_path / name)
    record["arrays"] = f"../{name}"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="is damaged"):
        folder.read()
