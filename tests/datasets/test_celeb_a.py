import zipfile

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_selfaux.datasets import CELEB_A_ATTRIBUTES, load_celeb_a
from tests.datasets.folders import (
    CELEB_A_FILES,
    accept_celeb_a,
    write_celeb_a,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Returns the folders of small data and of the files it is from."""
    folder = tmp_path_factory.mktemp("celeb_a")
    manual_dir = write_celeb_a(folder, 6, 2, 3)
    with pytest.MonkeyPatch.context() as monkeypatch:
        accept_celeb_a(monkeypatch, manual_dir)
        load_celeb_a(data_dir=folder, manual_dir=manual_dir)
    return folder, manual_dir


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests.Session, "get", refuse)


def read(dataset):
    return list(tfds.as_numpy(dataset))


def expected_examples(manual_dir):
    """Returns `{split: {colour: attributes}}`, read with no help of TFDS."""
    lines = (manual_dir / "list_attr_celeba.txt").read_text().splitlines()
    names = lines[1].split()
    of_file = {
        line.split()[0]: dict(
            zip(names, map(int, line.split()[1:]), strict=True)
        )
        for line in lines[2:]
    }
    splits = {"0": "train", "1": "validation", "2": "test"}
    found = {split: {} for split in splits.values()}
    partition = (manual_dir / "list_eval_partition.txt").read_text()
    with zipfile.ZipFile(manual_dir / "img_align_celeba.zip") as images:
        for line in partition.splitlines():
            file, split = line.split()
            image = tf.io.decode_jpeg(images.read(f"img_align_celeba/{file}"))
            colour = tuple(np.asarray(image)[0, 0].tolist())
            found[splits[split]][colour] = of_file[file]
    return found


@pytest.mark.parametrize("attributes", [CELEB_A_ATTRIBUTES, "all", ["Young"]])
def test_examples_are_those_of_the_files(prepared, attributes):
    data_dir, manual_dir = prepared
    data = load_celeb_a(attributes, data_dir=data_dir)
    expected = expected_examples(manual_dir)
    assert list(data) == ["train", "validation", "test"]
    for split, of_colour in expected.items():
        examples = read(data[split])
        assert len(examples) == len(of_colour)
        for example in examples:
            image = example.pop("image")
            assert image.shape == (218, 178, 3)
            assert image.dtype == np.uint8
            labels = of_colour[tuple(image[0, 0].tolist())]
            wanted = labels if attributes == "all" else attributes
            assert set(example) == set(wanted)
            for name, value in example.items():
                assert value.dtype == np.int32
                assert value == (labels[name] > 0)


def test_all_are_forty(prepared):
    spec = load_celeb_a("all", data_dir=prepared[0])["test"].element_spec
    assert len(spec) == 41
    assert set(CELEB_A_ATTRIBUTES) < set(spec)
    assert len(CELEB_A_ATTRIBUTES) == 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fraction", "num_train"), [(0.5, 3), (0.01, 1), (1, 6)]
)
def test_fraction_is_of_training_alone(prepared, fraction, num_train):
    whole = read(load_celeb_a(data_dir=prepared[0])["train"])
    data = load_celeb_a(fraction=fraction, data_dir=prepared[0])
    assert [len(dataset) for dataset in data.values()] == [num_train, 2, 3]
    share = read(data["train"])
    for some, every in zip(share, whole[:num_train], strict=True):
        np.testing.assert_array_equal(some["image"], every["image"])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (["Wearing_Cap"], r"unknown: \['Wearing_Cap'\].*Choose from"),
        ("Goatee", r"'all' or a list .*Received: \['Goatee'\]"),
        (["Goatee", "Goatee"], "each once"),
        ([], "at least one"),
    ],
)
def test_bad_attributes(tmp_path, attributes, message):
    with pytest.raises(ValueError, match=f"`attributes` must be .*{message}"):
        load_celeb_a(attributes, data_dir=tmp_path)


@pytest.mark.parametrize("fraction", [0, 1.5, -1, "half", True])
def test_bad_fraction(tmp_path, fraction):
    with pytest.raises(ValueError, match=r"`fraction` must be .*\(0, 1\]"):
        load_celeb_a(fraction=fraction, data_dir=tmp_path)


@pytest.mark.usefixtures("offline")
def test_no_network(tmp_path):
    with pytest.raises(ValueError, match="ConnectionError: no netw") as raised:
        load_celeb_a(data_dir=tmp_path)
    message = str(raised.value)
    assert str(tmp_path / "downloads" / "manual") in message
    assert f"Still missing: {', '.join(CELEB_A_FILES)}." in message
    assert not (tmp_path / "celeb_a" / "2.1.0").exists()


@pytest.mark.usefixtures("offline")
def test_one_file_missing(tmp_path, monkeypatch):
    manual_dir = write_celeb_a(tmp_path)
    accept_celeb_a(monkeypatch, manual_dir)
    (manual_dir / "img_align_celeba.zip").unlink()
    message = f"into {manual_dir}.*Still missing: img_align_celeba.zip"
    with pytest.raises(ValueError, match=message):
        load_celeb_a(data_dir=tmp_path / "data", manual_dir=manual_dir)


def test_default_folder_of_files(tmp_path, monkeypatch):
    manual_dir = write_celeb_a(tmp_path)
    accept_celeb_a(monkeypatch, manual_dir)
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    manual_dir.rename(tmp_path / "data" / "downloads" / "manual")
    assert len(load_celeb_a(data_dir=tmp_path / "data")["train"]) == 4


def test_file_that_is_not_the_published_one(tmp_path):
    manual_dir = write_celeb_a(tmp_path)
    with pytest.raises(ValueError, match="NonMatchingChecksumErr") as raised:
        load_celeb_a(data_dir=tmp_path / "data", manual_dir=manual_dir)
    assert f"downloaded to {manual_dir}" in str(raised.value)
    assert "has wrong checksum" in str(raised.value)
    assert "Still missing: none." in str(raised.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("list_attr_celeba.txt", "KeyError: '000008.jpg'"),
        ("img_align_celeba.zip", "BadZipFile"),
    ],
)
def test_broken_file(tmp_path, monkeypatch, file, message):
    manual_dir = write_celeb_a(tmp_path)
    content = (manual_dir / file).read_bytes()
    (manual_dir / file).write_bytes(content[:-30])
    accept_celeb_a(monkeypatch, manual_dir)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"not be prepared.*{message}"):
            load_celeb_a(data_dir=tmp_path / "data", manual_dir=manual_dir)
    assert not (tmp_path / "data" / "celeb_a" / "2.1.0").exists()
