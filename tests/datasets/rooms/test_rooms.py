import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_selfaux.datasets import (
    ROOM_CLASSES,
    Rooms,
    RoomsConfig,
    load_rooms,
)
from keras_selfaux.datasets.rooms import rooms_dataset_builder
from keras_selfaux.datasets.rooms.rooms_dataset_builder import draw_picture

COUNTS = {"train": 5, "validation": 2, "test": 3}
TINY = {f"num_{split}": count for split, count in COUNTS.items()}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


@pytest.fixture(scope="module")
def builder(data_dir):
    builder = Rooms(config=RoomsConfig("24x32", **TINY), data_dir=data_dir)
    builder.download_and_prepare()
    return builder


def read(builder, split):
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


@pytest.fixture
def few(monkeypatch):
    """Makes the built-in configurations small."""
    for config in Rooms.BUILDER_CONFIGS:
        monkeypatch.setattr(config, "counts", COUNTS)


@pytest.mark.usefixtures("few")
class RoomsBuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own checks of a builder."""

    DATASET_CLASS = Rooms
    BUILDER_CONFIG_NAMES_TO_TEST = ["48x64"]  # noqa: RUF012
    SPLITS = COUNTS
    # There is nothing to download, but the base class wants a folder.
    EXAMPLE_DIR = str(Rooms.code_path.parent)
    SKIP_CHECKSUMS = True


@pytest.mark.parametrize("split", COUNTS)
def test_examples_are_the_pictures_in_order(builder, split):
    examples = read(builder, split)
    assert len(examples) == COUNTS[split]
    for index, example in enumerate(examples):
        picture = draw_picture(split, index, 24, 32)
        assert set(example) == set(picture._fields)
        for name, value in picture._asdict().items():
            np.testing.assert_array_equal(example[name], value)
            assert example[name].dtype == value.dtype


def test_splits_show_other_rooms(builder):
    first = [read(builder, split)[0]["depth"] for split in COUNTS]
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first[1], first[2])


def test_more_examples_come_behind_the_first_ones(builder, tmp_path):
    counts = {**TINY, "num_train": 6}
    more = Rooms(config=RoomsConfig("24x32", **counts), data_dir=tmp_path)
    more.download_and_prepare()
    pairs = zip(read(more, "train"), read(builder, "train"), strict=False)
    for longer, shorter in pairs:
        np.testing.assert_array_equal(longer["image"], shorter["image"])
    assert len(read(more, "train")) == 6


def test_static_shapes(builder):
    spec = builder.as_dataset(split="train").element_spec
    assert {name: tuple(spec[name].shape) for name in spec} == {
        "image": (24, 32, 3),
        "seg": (24, 32, 1),
        "depth": (24, 32, 1),
        "normal": (24, 32, 3),
        "focal_length": (),
    }


def test_classes_travel_with_the_data(builder):
    assert Rooms.CLASSES is ROOM_CLASSES
    assert builder.info.features["seg"].names == list(ROOM_CLASSES)
    read_only = tfds.builder_from_directory(builder.data_dir)
    assert read_only.info.metadata["classes"] == list(ROOM_CLASSES)
    assert read_only.info.metadata["unlabelled"] == Rooms.UNLABELLED == 255


@pytest.mark.usefixtures("few")
def test_load_by_name_without_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded, info = tfds.load("rooms/48x64", data_dir=tmp_path, with_info=True)
    assert {split: len(loaded[split]) for split in loaded} == COUNTS
    assert info.full_name == "rooms/48x64/1.0.0"


@pytest.mark.usefixtures("few")
def test_load_rooms_in_silence(tmp_path, capfd):
    splits = load_rooms(data_dir=tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Generating" not in err
    assert list(splits) == list(COUNTS)
    assert all(isinstance(data, tf.data.Dataset) for data in splits.values())
    example = next(iter(splits["test"]))
    assert example["image"].shape == (48, 64, 3)
    np.testing.assert_array_equal(
        example["image"], draw_picture("test", 0, 48, 64).image
    )


def test_names_of_configurations():
    assert list(Rooms.builder_configs) == ["48x64", "96x128", "288x384"]
    assert RoomsConfig().name == "48x64"
    assert RoomsConfig("60x80").name == "60x80"
    few = RoomsConfig("96x128", num_train=3)
    assert few.name == "96x128_train_3_validation_200_test_400"


def test_default_counts():
    assert Rooms.builder_configs["48x64"].counts == {
        "train": 800,
        "validation": 200,
        "test": 400,
    }


def test_configuration_equal_to_a_built_in_one(data_dir):
    builder = Rooms(config=RoomsConfig("96x128"), data_dir=data_dir)
    assert builder.builder_config is Rooms.builder_configs["96x128"]


@pytest.mark.parametrize(
    "size",
    ["48", "48x", "048x64", "48X64", "48x64x3", "8x64", "48x2000", 48, None],
)
def test_bad_size(size):
    with pytest.raises(ValueError, match="`size` must name a height and a"):
        RoomsConfig(size)


@pytest.mark.parametrize("size", ["16x1024", "1024x16"])
def test_greatest_and_least_size(size):
    config = RoomsConfig(size)
    assert f"{config.height}x{config.width}" == size


def test_bad_size_when_loading(tmp_path):
    with pytest.raises(ValueError, match="Pass a size such as '48x64'"):
        load_rooms("small", data_dir=tmp_path)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("value", [0, 2.0, True, "5"])
def test_bad_counts(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at"):
        RoomsConfig(**{name: value})


def test_noise_differs_between_sizes_and_places():
    streams = [
        rooms_dataset_builder.generator(1, 0, 0, index, height, width).normal()
        for index in range(3)
        for height, width in ((48, 64), (96, 128))
    ]
    assert len(set(streams)) == len(streams)
