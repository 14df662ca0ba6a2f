import io
import shutil

import numpy as np
import pytest

from keras_selfaux.datasets import NYUv2Config, load_nyuv2
from tests.datasets.folders import write_nyuv2

SIZE = {"height": 6, "width": 8}
SHAPE = (6, 8)


@pytest.fixture
def manual_dir(tmp_path):
    return write_nyuv2(tmp_path, **SIZE)


def load(tmp_path, manual_dir):
    return load_nyuv2(tmp_path / "data", manual_dir, **SIZE)


def saved(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def archived(array):
    content = io.BytesIO()
    np.savez(content, array)
    return content.getvalue()


def filled(value, shape=SHAPE, dtype=np.float32):
    return saved(np.full(shape, value, dtype))


BROKEN = {
    "class 13": ("label", filled(13), r"classes from 0 to 12.*Received: 13"),
    "class -2": ("label", filled(-2), "Received: -2"),
    "class 0.5": ("label", filled(0.5), r"Received: 0\.5"),
    "class NaN": ("label", filled(np.nan), "Received: nan"),
    "huge class": ("label", filled(1e30), r"Received: 1\.0*[0-9]*e\+30"),
    "labels of another size": ("label", filled(1, (6, 9)), "6 high, 9 wide"),
    "labels with channels": ("label", filled(1, (6, 8, 3)), "shape"),
    "names": ("label", saved(np.full(SHAPE, "bed")), "dtype <U3"),
    "image above 1": ("image", filled(1.5, (6, 8, 3)), r"\[0, 1\].*1\.5"),
    "image NaN": ("image", filled(np.nan, (6, 8, 3)), "nan"),
    "image of int64": ("image", filled(1, (6, 8, 3), int), "dtype int64"),
    "image first channels": ("image", filled(1, (3, 6, 8)), r"\(3, 6, 8\)"),
    "image of another size": ("image", filled(1, (5, 8, 3)), "5 high, 8 wide"),
    "depth below 0": ("depth", filled(-0.1), r"0 or more.*-0\.1"),
    "depth infinite": ("depth", filled(np.inf), "inf"),
    "depth too large": ("depth", filled(1e300, dtype=float), "inf"),
    "depth of one row": ("depth", filled(1, (8,)), r"shape \(8,\)"),
    "normal of two": ("normal", filled(1, (6, 8, 2)), r"\[H, W, 3\]"),
    "normal of int": ("normal", filled(1, (6, 8, 3), int), "floating"),
    "normal NaN": ("normal", filled(np.nan, (6, 8, 3)), "nan"),
    "text": ("depth", b"not an array at all", "whole .npy file"),
    "empty": ("depth", b"", "whole .npy file"),
    "cut off": ("depth", filled(1.0)[:-9], "whole .npy file"),
    "archive": ("depth", archived(np.ones(SHAPE)), "NpzFile"),
    "objects": (
        "depth",
        saved(np.array([{}], object), allow_pickle=True),
        "allow_pickle",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file(tmp_path, manual_dir, case):
    kind, content, message = BROKEN[case]
    path = manual_dir / "nyuv2" / "test" / kind / "1.npy"
    good = path.read_bytes()
    path.write_bytes(content)
    for _ in range(2):
        # The second call must not take a part for the whole.
        with pytest.raises(ValueError, match=f"test/{kind}/1.npy.*{message}"):
            load(tmp_path, manual_dir)
    versions = list((tmp_path / "data" / "nyuv2" / "6x8").iterdir())
    assert versions == []
    if case == "class 13":
        path.write_bytes(good)
        assert len(load(tmp_path, manual_dir)["test"]) == 2


def unlink(path):
    path.unlink()


def misplace(name):
    return lambda path: shutil.copy(path, path.with_name(name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unlink, "depth must hold a file of number 1, as there is .*image/1"),
        (lambda path: shutil.rmtree(path.parent), "depth .*no such folder"),
        (
            lambda path: shutil.rmtree(path.parents[2] / "test"),
            "test/image .*no such folder",
        ),
        (misplace("one.npy"), "nothing else. Received: .*depth/one.npy"),
        (misplace("3.txt"), "nothing else. Received: .*depth/3.txt"),
        (misplace("01.npy"), "one file of number 1. Received: .*depth/01.npy"),
    ],
)
def test_files_out_of_place(tmp_path, manual_dir, change, message):
    change(manual_dir / "nyuv2" / "train" / "depth" / "1.npy")
    with pytest.raises(ValueError, match=message):
        load(tmp_path, manual_dir)
    assert not (tmp_path / "data" / "nyuv2" / "6x8" / "1.0.0").exists()


def test_empty_folder(tmp_path, manual_dir):
    for path in (manual_dir / "nyuv2" / "test" / "image").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"test/image .*an empty folder"):
        load(tmp_path, manual_dir)


def test_one_example_cannot_be_split(tmp_path):
    manual_dir = write_nyuv2(tmp_path, 1, 1, **SIZE)
    with pytest.raises(ValueError, match="two examples or more"):
        load(tmp_path, manual_dir)


@pytest.mark.parametrize("there", [True, False])
def test_nothing_there(tmp_path, there):
    folder = tmp_path / "manual"
    if there:
        (folder / "other").mkdir(parents=True)
    with pytest.raises(ValueError, match="`nyuv2` has to be fetched") as raised:
        load(tmp_path, folder)
    assert str(folder) in str(raised.value)
    assert "https://github.com/lorenmt/mtan" in str(raised.value)


def test_nothing_in_the_default_folder(tmp_path):
    folder = tmp_path / "data" / "downloads" / "manual"
    with pytest.raises(ValueError, match=str(folder)):
        load(tmp_path, None)


@pytest.mark.parametrize("height", [0, 2.0, True])
def test_bad_size(height):
    with pytest.raises(ValueError, match="`height` must be an integer of"):
        NYUv2Config(height=height)
    with pytest.raises(ValueError, match="`width` must be an integer of"):
        NYUv2Config(width=height)
