"""Files that appear whole or not at all."""

import pathlib
import threading

import pytest

from keras_selfaux.export._new_file import check_new_file, new_file


def test_a_file_appears_in_the_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "folder" / "model.onnx"
    with new_file(path) as unfinished:
        assert unfinished.suffix == ".onnx"
        unfinished.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(
    problem: type[BaseException], tmp_path: pathlib.Path
) -> None:
    def write() -> None:
        with new_file(tmp_path / "model.onnx") as unfinished:
            unfinished.write_text("half")
            raise problem

    with pytest.raises(problem):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_in_the_meantime(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.onnx"

    def write() -> None:
        with new_file(path) as unfinished:
            unfinished.write_text("mine")
            path.write_text("another's")

    with pytest.raises(FileExistsError, match="exports are never overwritten"):
        write()
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_is_not_replaced(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.onnx"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="exports are never overwritten"):
        check_new_file(path, ".onnx")


@pytest.mark.parametrize(
    "name", ["model", "model.tflite", ".onnx", "m.onnx.gz"]
)
def test_names_must_have_the_suffix(name: str) -> None:
    with pytest.raises(ValueError, match=r"`path` must end in '.onnx'"):
        check_new_file(name, ".onnx")


def test_a_new_name_is_given_back_as_a_path() -> None:
    assert check_new_file("new.onnx", ".onnx") == pathlib.Path("new.onnx")


def test_two_at_once_do_not_mix(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.onnx"
    outcomes = []
    both = threading.Barrier(2)

    def write(text: str) -> None:
        try:
            with new_file(path) as unfinished, unfinished.open("w") as file:
                file.write(text)
                both.wait(10)
        except FileExistsError:
            outcomes.append("refused")
        else:
            outcomes.append(text)

    threads = [threading.Thread(target=write, args=[t]) for t in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1] == "refused"
    assert path.read_text() == sorted(outcomes)[0]
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_dead_leave_is_removed(tmp_path: pathlib.Path) -> None:
    left = tmp_path / ".unfinished-by-the-dead"
    left.mkdir()
    (left / "model.onnx").write_text("half")
    path = tmp_path / "model.onnx"
    with new_file(path) as unfinished:
        unfinished.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]
