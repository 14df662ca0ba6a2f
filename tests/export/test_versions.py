import os
import pathlib
import stat
from typing import Any

import numpy as np
import pytest

from keras_selfaux.export import _unfinished
from keras_selfaux.export._versions import (
    check_base_path,
    check_version,
    new_version,
    taken_versions,
)


def write(base_path: pathlib.Path, version: int | None = None) -> pathlib.Path:
    with new_version(base_path, version) as new:
        assert not new.folder.name.isdecimal()
        (new.folder / "part").mkdir()
        (new.folder / "part/file").write_text("content")
    return new.path


def test_versions_count_up(tmp_path: pathlib.Path) -> None:
    base_path = tmp_path / "deep/model"
    assert write(base_path) == base_path / "1"
    assert write(base_path, 5) == base_path / "5"
    assert write(base_path) == base_path / "6"
    assert (base_path / "6/part/file").read_text() == "content"
    assert sorted(path.name for path in base_path.iterdir()) == ["1", "5", "6"]


def test_versions_are_read_as_a_server_reads_them(
    tmp_path: pathlib.Path,
) -> None:
    for name in ("007", "1.5", "-3", "notes", "²"):
        (tmp_path / name).mkdir()
    assert taken_versions(tmp_path) == {7}
    assert write(tmp_path) == tmp_path / "8"
    with pytest.raises(FileExistsError, match="has a version 7 already"):
        check_version(tmp_path, 7)


def test_others_may_read_a_version(tmp_path: pathlib.Path) -> None:
    umask = os.umask(0o022)
    try:
        path = write(tmp_path / "model")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(
    tmp_path: pathlib.Path, problem: type[BaseException]
) -> None:
    def fail() -> None:
        with new_version(tmp_path, None) as new:
            (new.folder / "file").write_text("half")
            raise problem

    write(tmp_path)
    with pytest.raises(problem):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_version_that_came_meanwhile_stays(tmp_path: pathlib.Path) -> None:
    with (
        pytest.raises(FileExistsError, match=r"Pass version=4"),
        new_version(tmp_path, 3),
    ):
        write(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
    assert (tmp_path / "3/part/file").exists()


def test_two_at_once_get_two_versions(tmp_path: pathlib.Path) -> None:
    with new_version(tmp_path, None) as first:
        assert write(tmp_path) == tmp_path / "1"
        assert first.folder.exists()
    assert first.path == tmp_path / "2"


def test_what_the_dead_leave_is_removed_and_what_lives_stays(
    tmp_path: pathlib.Path,
) -> None:
    # The lock of a process goes with it.
    left = tmp_path / ".unfinished-by-the-dead"
    left.mkdir()
    (left / "file").write_text("half")
    with new_version(tmp_path, None) as living:
        assert not left.exists()
        assert write(tmp_path) == tmp_path / "1"
        assert living.folder.exists()


def test_a_forked_process_does_not_keep_a_lock(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has open is what a duplicate of the descriptor has."""
    duplicates = []
    opened = os.open

    def open_twice(*args: Any) -> int:
        descriptor = opened(*args)
        duplicates.append(os.dup(descriptor))
        return descriptor

    monkeypatch.setattr(os, "open", open_twice)
    with _unfinished.locked(tmp_path) as held:
        assert held
    with _unfinished.locked(tmp_path, wait=False) as held:
        assert held
    for descriptor in duplicates:
        os.close(descriptor)


def test_trouble_after_the_renaming_does_not_matter(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.fsync

    def fsync(descriptor: int) -> None:
        if (tmp_path / "1").exists():
            raise OSError(5, "Input/output error")
        written(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert write(tmp_path) == tmp_path / "1"


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, 2**63])
def test_wrong_versions(tmp_path: pathlib.Path, version: Any) -> None:
    with pytest.raises(ValueError, match="`version` must be an integer from"):
        check_version(tmp_path, version)


def test_numbers_of_numpy_will_do(tmp_path: pathlib.Path) -> None:
    assert write(tmp_path, np.int64(4)) == tmp_path / "4"


@pytest.mark.parametrize("base_path", ["gs://models/arm", "", None, b"a", 3])
def test_wrong_base_paths(base_path: Any) -> None:
    with pytest.raises(ValueError, match="`base_path` must be a local folder"):
        check_base_path(base_path)


def test_base_paths_that_are_no_folders(tmp_path: pathlib.Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("")
    link.symlink_to(tmp_path / "nowhere")
    for path in (file, link):
        with pytest.raises(NotADirectoryError, match="which is something else"):
            check_base_path(path)
    assert check_base_path(tmp_path / "new") == tmp_path / "new"
