import shutil
import tempfile

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_selfaux.datasets import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_PARTS,
    CityscapesTasks,
    CityscapesTasksConfig,
    load_cityscapes,
)
from tests.datasets.folders import save_npy, save_png, write_cityscapes

SIZE = {"height": 4, "width": 8}
SHAPE = (4, 8)


@pytest.fixture
def manual_dir(tmp_path):
    return write_cityscapes(tmp_path, **SIZE)


@pytest.fixture
def train(manual_dir):
    return manual_dir / "cityscapes_tasks" / "train"


def load(tmp_path, manual_dir, **size):
    return load_cityscapes(tmp_path / "data", manual_dir, **(size or SIZE))


def first(tmp_path, manual_dir, **size):
    data = load(tmp_path, manual_dir, **size)
    return next(iter(tfds.as_numpy(data["train"])))


def row(*values):
    """Returns labels of the pictures' shape that begin with some values."""
    labels = np.full(SHAPE, values[-1])
    labels.flat[: len(values)] = values
    return labels


class CityscapesTasksBuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own checks of a builder."""

    DATASET_CLASS = CityscapesTasks
    BUILDER_CONFIG_NAMES_TO_TEST = [  # noqa: RUF012
        CityscapesTasksConfig(**SIZE)
    ]
    SPLITS = {"train": 8, "validation": 2, "test": 3}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.EXAMPLE_DIR = str(write_cityscapes(folder, 10, 3, **SIZE))
        super().setUpClass()


def test_splits_and_forms(tmp_path, manual_dir, train):
    data = load(tmp_path, manual_dir)
    assert {split: len(data[split]) for split in data} == {
        "train": 4,
        "validation": 1,
        "test": 2,
    }
    spec = {
        name: (tuple(tensor.shape), tensor.dtype)
        for name, tensor in data["train"].element_spec.items()
    }
    assert spec == {
        "image": ((*SHAPE, 3), tf.uint8),
        "seg": ((*SHAPE, 1), tf.uint8),
        "part_seg": ((*SHAPE, 1), tf.uint8),
        "disparity": ((*SHAPE, 1), tf.float32),
    }
    last = next(iter(tfds.as_numpy(data["validation"])))
    image = tf.io.decode_png((train / "image" / "4.png").read_bytes())
    np.testing.assert_array_equal(last["image"], image)


def test_both_cityscapes_are_known_to_tfds(tmp_path):
    theirs = tfds.builder_cls("cityscapes")
    assert theirs.__module__.startswith("tensorflow_datasets.")
    assert tfds.builder_cls("cityscapes_tasks") is CityscapesTasks
    builder = tfds.builder("cityscapes_tasks", data_dir=tmp_path)
    assert builder.info.full_name == "cityscapes_tasks/256x512/1.0.0"
    assert builder.info.metadata["classes"] == list(CITYSCAPES_CLASSES)
    assert builder.info.metadata["parts"] == list(CITYSCAPES_PARTS)
    assert "Cordts" in builder.info.citation


@pytest.mark.parametrize("form", ["npy", "png"])
def test_classes(tmp_path, manual_dir, train, form):
    names = {
        0: None,
        7: "road",
        8: "sidewalk",
        9: None,
        11: "building",
        12: "wall",
        13: "fence",
        16: None,
        17: "pole",
        19: "traffic light",
        20: "traffic sign",
        21: "vegetation",
        22: "terrain",
        23: "sky",
        24: "person",
        25: "rider",
        26: "car",
        27: "truck",
        28: "bus",
        29: None,
        30: None,
        31: "train",
        32: "motorcycle",
        33: "bicycle",
        255: None,
    }
    if form == "npy":
        save_npy(train / "seg" / "0.npy", row(*names, -1))
    else:
        (train / "seg" / "0.npy").unlink()
        ids = row(*names, 255).astype(np.uint8)[..., np.newaxis]
        save_png(train / "seg" / "0.png", ids)
    seg = first(tmp_path, manual_dir)["seg"].ravel().tolist()
    found = [
        None if index == 255 else CITYSCAPES_CLASSES[index] for index in seg
    ]
    assert found[: len(names)] == list(names.values())
    assert set(found[len(names) :]) == {None}


PARTS = {
    24_01: "torso",
    25_02: "head",
    24_001_03: "arm",
    25_999_04: "leg",
    26_01: "window",
    27_02: "wheel",
    28_007_03: "light",
    26_000_04: "license plate",
    27_123_05: "chassis",
    # Classes without parts.
    7: "background",
    33: "background",
    33_012: "background",
    11_05: "background",
    4: "background",
    # Classes with parts, but not in this pixel.
    24: None,
    25_001: None,
    26_00: None,
    28_007_00: None,
    # Not labelled.
    0: None,
    3: None,
    255: None,
    -1: None,
}


def test_parts(tmp_path, manual_dir, train):
    save_npy(train / "part_seg" / "0.npy", row(*PARTS))
    parts = first(tmp_path, manual_dir)["part_seg"].ravel().tolist()
    found = [
        None if index == 255 else CITYSCAPES_PARTS[index] for index in parts
    ]
    assert found[: len(PARTS)] == list(PARTS.values())


def test_parts_from_tiff(tmp_path, manual_dir, train):
    (train / "part_seg" / "0.npy").unlink()
    ids = row(*(part for part in PARTS if part >= 0)).astype(np.int32)
    PIL.Image.fromarray(ids).save(train / "part_seg" / "0.tif")
    parts = first(tmp_path, manual_dir)["part_seg"].ravel().tolist()
    assert parts[:9] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert parts[9:14] == [0] * 5
    assert parts[14:21] == [255] * 7


def test_disparity_from_png(tmp_path, manual_dir, train):
    values = row(0, 1, 2, 257, 65_535).astype(np.uint16)[..., np.newaxis]
    save_png(train / "depth" / "0.png", values)
    disparity = first(tmp_path, manual_dir)["disparity"].ravel()
    expected = [0, 0, 1 / 256, 1, 65_534 / 256]
    np.testing.assert_array_equal(disparity[:5], np.float32(expected))


def test_disparity_from_npy(tmp_path, manual_dir, train):
    (train / "depth" / "0.png").unlink()
    save_npy(train / "depth" / "0.npy", row(-3.0, 0.0, 0.25, 126.5))
    disparity = first(tmp_path, manual_dir)["disparity"].ravel()
    np.testing.assert_array_equal(disparity[:4], [0, 0, 0.25, 126.5])


def test_jpeg_image(tmp_path, manual_dir, train):
    (train / "image" / "0.png").unlink()
    image = np.tile(np.uint8([200, 100, 50]), (*SHAPE, 1))
    content = tf.io.encode_jpeg(image, quality=100).numpy()
    (train / "image" / "0.jpg").write_bytes(content)
    found = first(tmp_path, manual_dir)["image"].astype(int)
    np.testing.assert_allclose(found, image, atol=3)


def test_resizing(tmp_path):
    manual_dir = write_cityscapes(tmp_path, height=8, width=16)
    root = manual_dir / "cityscapes_tasks" / "train"
    image = np.asarray(tf.io.decode_png((root / "image/0.png").read_bytes()))
    labels = np.load(root / "seg" / "0.npy")
    small = first(tmp_path, manual_dir, height=4, width=8)
    # Means of two by two pixels.
    means = image.reshape(4, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small["image"], means, atol=0.5 + 1e-3)
    same = first(tmp_path, manual_dir, height=8, width=16)
    assert labels.shape == same["seg"].shape[:2]
    for name in ("seg", "part_seg", "disparity"):
        np.testing.assert_array_equal(small[name], same[name][1::2, 1::2])
    large = first(tmp_path, manual_dir, height=16, width=32)
    for name in ("seg", "part_seg", "disparity"):
        np.testing.assert_array_equal(large[name][::2, 1::2], same[name])
