import shutil
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_selfaux.datasets import (
    NYUV2_CLASSES,
    NYUv2,
    NYUv2Config,
    load_nyuv2,
)
from keras_selfaux.datasets._numbered import split_files
from tests.datasets.folders import save_npy, write_nyuv2

SIZE = {"height": 6, "width": 8}
SHAPE = (6, 8)


@pytest.fixture
def manual_dir(tmp_path):
    return write_nyuv2(tmp_path, **SIZE)


def load(tmp_path, manual_dir):
    return load_nyuv2(tmp_path / "data", manual_dir, **SIZE)


def read(dataset):
    return list(tfds.as_numpy(dataset))


class NYUv2BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own checks of a builder."""

    DATASET_CLASS = NYUv2
    BUILDER_CONFIG_NAMES_TO_TEST = [NYUv2Config(**SIZE)]  # noqa: RUF012
    SPLITS = {"train": 8, "validation": 2, "test": 3}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.EXAMPLE_DIR = str(write_nyuv2(folder, 10, 3, **SIZE))
        super().setUpClass()


def test_examples_are_those_of_the_files(tmp_path, manual_dir):
    data = load(tmp_path, manual_dir)
    files = {
        "train": [("train", number) for number in range(4)],
        "validation": [("train", 4)],
        "test": [("test", number) for number in range(2)],
    }
    assert list(data) == list(files)
    for split, of_split in files.items():
        examples = read(data[split])
        assert len(examples) == len(of_split)
        for example, (folder, number) in zip(examples, of_split, strict=True):
            root = manual_dir / "nyuv2" / folder
            image, label, depth, normal = (
                np.load(root / kind / f"{number}.npy")
                for kind in ("image", "label", "depth", "normal")
            )
            assert example["image"].dtype == example["seg"].dtype == np.uint8
            np.testing.assert_allclose(
                example["image"] / 255, image, atol=0.5 / 255 + 1e-6
            )
            np.testing.assert_array_equal(
                example["seg"][..., 0], np.where(label == -1, 255, label)
            )
            np.testing.assert_array_equal(
                example["depth"], depth.astype(np.float32)
            )
            length = np.linalg.norm(normal, axis=-1)
            np.testing.assert_allclose(
                example["normal"] * length[..., np.newaxis], normal, atol=1e-5
            )
            np.testing.assert_allclose(
                np.linalg.norm(example["normal"], axis=-1),
                length > 0,
                atol=1e-6,
            )


def test_numbers_are_sorted_as_numbers(tmp_path):
    manual_dir = write_nyuv2(tmp_path, 11, 1, **SIZE)
    for number in range(11):
        path = manual_dir / "nyuv2" / "train" / "depth" / f"{number}.npy"
        save_npy(path, np.full(SHAPE, number + 1.0))
    data = load(tmp_path, manual_dir)
    assert [e["depth"][0, 0, 0] for e in read(data["train"])] == [*range(1, 10)]
    assert [e["depth"][0, 0, 0] for e in read(data["validation"])] == [10, 11]


def test_published_counts_make_636_and_159(tmp_path):
    for split, count in (("train", 795), ("test", 654)):
        (tmp_path / split / "image").mkdir(parents=True)
        for number in range(count):
            (tmp_path / split / "image" / f"{number}.npy").touch()
    files = split_files(tmp_path, {"image": (".npy",)})
    assert {split: len(files[split]) for split in files} == {
        "train": 636,
        "validation": 159,
        "test": 654,
    }


def test_other_forms_of_the_arrays(tmp_path, manual_dir):
    train = manual_dir / "nyuv2" / "train"
    image = np.arange(144, dtype=np.uint8).reshape(*SHAPE, 3)
    save_npy(train / "image" / "0.npy", image)
    labels = np.arange(48, dtype=np.int16).reshape(*SHAPE, 1) % 14 - 1
    save_npy(train / "label" / "0.npy", labels)
    save_npy(train / "depth" / "0.npy", np.arange(48).reshape(SHAPE))
    first = read(load(tmp_path, manual_dir)["train"])[0]
    np.testing.assert_array_equal(first["image"], image)
    np.testing.assert_array_equal(first["seg"], labels.astype(np.uint8))
    np.testing.assert_array_equal(first["depth"].ravel(), np.arange(48))


def test_default_folder_and_val_for_test(tmp_path, manual_dir):
    (manual_dir / "nyuv2" / "test").rename(manual_dir / "nyuv2" / "val")
    manual_dir.rename(tmp_path / "moved")
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    (tmp_path / "moved").rename(tmp_path / "data" / "downloads" / "manual")
    assert len(load(tmp_path, None)["test"]) == 2


def test_folder_itself_and_hidden_files(tmp_path, manual_dir):
    folder = manual_dir / "nyuv2"
    (folder / "train" / "image" / ".DS_Store").touch()
    assert len(load(tmp_path, folder)["train"]) == 4


def test_prepared_data_needs_no_files(tmp_path, manual_dir):
    first = read(load(tmp_path, manual_dir)["test"])
    shutil.rmtree(manual_dir)
    again = read(load(tmp_path, None)["test"])
    np.testing.assert_array_equal(first[1]["normal"], again[1]["normal"])


def test_names():
    assert NYUv2.name == "nyuv2"
    assert NYUv2Config().name == "288x384"
    assert len(NYUV2_CLASSES) == 13
    assert list(NYUV2_CLASSES) == sorted(NYUV2_CLASSES)


def test_known_to_tfds(tmp_path):
    builder = tfds.builder("nyuv2", data_dir=tmp_path)
    assert builder.info.full_name == "nyuv2/288x384/1.0.0"
    assert builder.info.metadata["classes"] == list(NYUV2_CLASSES)
    assert "Silberman" in builder.info.citation
    equal = NYUv2(config=NYUv2Config(), data_dir=tmp_path)
    assert equal.builder_config is NYUv2.builder_configs["288x384"]


def test_quiet_without_terminal(tmp_path, manual_dir, capfd):
    load(tmp_path, manual_dir)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Generating" not in err
