import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.datasets import CityscapesTasksConfig, load_cityscapes
from tests.datasets.folders import save_npy, write_cityscapes

SIZE = {"height": 4, "width": 8}
SHAPE = (4, 8)


@pytest.fixture
def manual_dir(tmp_path):
    return write_cityscapes(tmp_path, **SIZE)


@pytest.fixture
def train(manual_dir):
    return manual_dir / "cityscapes_tasks" / "train"


def load(tmp_path, manual_dir):
    return load_cityscapes(tmp_path / "data", manual_dir, **SIZE)


def full(value):
    return np.full(SHAPE, value)


def png(array):
    return tf.io.encode_png(array).numpy()


def gray(value, dtype=np.uint8):
    return np.full((*SHAPE, 1), value, dtype)


BROKEN = {
    "class 34": ("seg/0.npy", full(34), "-1 to 33 or 255.*Received: 34"),
    "class -2": ("seg/0.npy", full(-2), "Received: -2"),
    "class NaN": ("seg/0.npy", full(np.nan), "nan"),
    "coloured classes": (
        "seg/0.png",
        png(np.zeros((*SHAPE, 3), np.uint8)),
        r"shape \(4, 8, 3\)",
    ),
    "sixth part of a car": ("part_seg/0.npy", full(2606), "Received: 2606"),
    "fifth part of a person": (
        "part_seg/0.npy",
        full(2_400_105),
        "Panoptic Parts.*Received: 2400105",
    ),
    "part of class 34": ("part_seg/0.npy", full(3401), "Received: 3401"),
    "negative part": ("part_seg/0.npy", full(-5), "Received: -5"),
    "disparity of 8 bits": ("depth/0.png", png(gray(9)), "PNG file of 8 bits"),
    "disparity NaN": ("depth/0.npy", full(np.nan), "Received: nan"),
    "gray image": ("image/0.png", png(gray(9)), r"shape \(4, 8, 1\)"),
    "image of 16 bits": (
        "image/0.png",
        png(np.zeros((*SHAPE, 3), np.uint16)),
        "dtype uint16",
    ),
    "cut off": (
        "image/0.png",
        png(np.arange(96, dtype=np.uint8).reshape(*SHAPE, 3))[:-40],
        "whole PNG file",
    ),
    "text": ("image/0.jpg", b"no picture", "whole JPEG file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file(tmp_path, manual_dir, train, case):
    name, content, message = BROKEN[case]
    kind, file = name.split("/")
    for path in (train / kind).glob("0.*"):
        path.unlink()
    if isinstance(content, bytes):
        (train / kind / file).write_bytes(content)
    else:
        save_npy(train / kind / file, content)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"train/{name}.*{message}"):
            load(tmp_path, manual_dir)
    folder = tmp_path / "data" / "cityscapes_tasks" / "4x8"
    assert list(folder.iterdir()) == []


def test_missing_counterpart(tmp_path, manual_dir, train):
    (train / "part_seg" / "2.npy").unlink()
    message = "part_seg must hold a file of number 2.*in all 1 such file"
    with pytest.raises(ValueError, match=message):
        load(tmp_path, manual_dir)


def test_two_files_of_one_number(tmp_path, manual_dir, train):
    save_npy(train / "image" / "2.npy", np.zeros((*SHAPE, 3)))
    with pytest.raises(ValueError, match=r"2\.npy and .*2\.png"):
        load(tmp_path, manual_dir)


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="`cityscapes_tasks` has to") as raised:
        load(tmp_path, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(raised.value)
    assert "www.cityscapes-dataset.com" in str(raised.value)


@pytest.mark.parametrize("width", [0, 2.0, True])
def test_bad_size(width):
    with pytest.raises(ValueError, match="`width` must be an integer of"):
        CityscapesTasksConfig(width=width)
