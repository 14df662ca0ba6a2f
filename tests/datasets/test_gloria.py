import csv
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_selfaux.datasets import Gloria, load_gloria
from tests.datasets.folders import save_csv, write_gloria

BANDS = [str(band) for band in range(16)]
SPLITS = ("train", "validation", "test")


class GloriaBuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own checks of a builder."""

    DATASET_CLASS = Gloria
    SPLITS = {"train": 18, "validation": 6, "test": 6}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.EXAMPLE_DIR = str(write_gloria(folder, 10, num_tasks=3))
        super().setUpClass()


def table(path):
    """Returns `{task: [label, *bands] of every row}` in the file's order."""
    of_task = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            numbers = [float(row[name]) for name in ("label", *BANDS)]
            of_task.setdefault(row["task"], []).append(numbers)
    return {task: np.array(rows) for task, rows in of_task.items()}


def test_arrays(tmp_path):
    manual_dir = write_gloria(tmp_path, rows_per_task=7, num_tasks=3)
    data = load_gloria(tmp_path / "data", manual_dir)
    rows = table(manual_dir / "gloria" / "gloria.csv")
    tasks = ["region_0", "region_1", "region_2"]
    assert [len(rows[task]) for task in tasks] == [7, 8, 9]
    train = np.concatenate([rows[task][:4] for task in tasks])
    standard = {
        task: (rows[task] - train.mean(0)) / train.std(0) for task in tasks
    }
    places = {"train": range(4), "validation": [4], "test": [5, 6]}
    assert list(data) == list(places)
    for split, of_split in places.items():
        x, y = data[split]
        assert x.dtype == np.float32
        assert x.shape == (3 * len(of_split), 16)
        assert list(y) == tasks
        for index, task in enumerate(tasks):
            expected = standard[task][of_split]
            own = np.arange(len(x)) % 3 == index
            assert y[task].dtype == np.float32
            assert y[task].shape == (len(x), 1)
            np.testing.assert_allclose(x[own], expected[:, 1:], rtol=1e-5)
            np.testing.assert_allclose(y[task][own], expected[:, :1], rtol=1e-5)
            assert np.isnan(y[task][~own]).all()


def test_constants_undo_the_scaling(tmp_path):
    manual_dir = write_gloria(tmp_path, 5, 2)
    load_gloria(tmp_path / "data", manual_dir)
    again = Gloria(data_dir=tmp_path / "data")
    metadata = again.info.metadata
    assert metadata["tasks"] == ["region_0", "region_1"]
    first = next(iter(tfds.as_numpy(again.as_dataset(split="train"))))
    assert first["task"] == b"region_0"
    assert first["label"].shape == ()
    row = table(manual_dir / "gloria" / "gloria.csv")["region_0"][0]
    reflectance = first["reflectance"] * metadata["reflectance_std"]
    np.testing.assert_allclose(
        reflectance + metadata["reflectance_mean"], row[1:], rtol=1e-5
    )
    label = first["label"] * metadata["label_std"] + metadata["label_mean"]
    np.testing.assert_allclose(label, row[0], rtol=1e-5)


def rewrite(manual_dir, change):
    path = manual_dir / "gloria" / "gloria.csv"
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    header, rows = change(header, rows)
    save_csv(path, header, rows)


def test_columns_in_any_order_and_more_of_them(tmp_path):
    manual_dir = write_gloria(tmp_path, 5, 2)
    expected = load_gloria(tmp_path / "first", manual_dir)

    def reorder(header, rows):
        rows = [
            [str(number), "x", *row[::-1]] for number, row in enumerate(rows)
        ]
        return ["", "site", *header[::-1]], rows

    rewrite(manual_dir, reorder)
    path = manual_dir / "gloria" / "gloria.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n")
    data = load_gloria(tmp_path / "second", path.parent)
    for split in SPLITS:
        np.testing.assert_array_equal(data[split][0], expected[split][0])
        for task, labels in expected[split][1].items():
            np.testing.assert_array_equal(data[split][1][task], labels)


def test_constant_columns_become_zero(tmp_path):
    def flatten(header, rows):
        return header, [["0.1", row[1], "0.1", *row[3:]] for row in rows]

    manual_dir = write_gloria(tmp_path, 5, 2)
    rewrite(manual_dir, flatten)
    x, y = load_gloria(tmp_path / "data", manual_dir)["train"]
    np.testing.assert_allclose(x[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(y["region_0"][::2], 0, atol=1e-12)
    metadata = Gloria(data_dir=tmp_path / "data").info.metadata
    assert metadata["reflectance_std"][0] == metadata["label_std"] == 1


def test_known_to_tfds(tmp_path):
    builder = tfds.builder("gloria", data_dir=tmp_path)
    assert builder.info.full_name == "gloria/1.0.0"
    assert "Lehmann" in builder.info.citation


def put(column, text):
    def change(header, rows):
        rows[3][column] = text
        return header, rows

    return change


def without(column):
    def change(header, rows):
        kept = [row[:column] + row[column + 1 :] for row in [header, *rows]]
        return kept[0], kept[1:]

    return change


def shorten(header, rows):
    rows[3].pop()
    return header, rows


def starve(header, rows):
    few = [row for row in rows if row[1] == "region_0"][:4]
    return header, [row for row in rows if row[1] != "region_0"] + few


BROKEN = {
    "text": (put(4, "low"), r"line 5, .* number in column 2\. Received: 'low'"),
    "no number": (put(4, ""), "line 5, .* number in column 2. Received: ''"),
    "NaN": (put(0, "nan"), "line 5, .* column label. Received: 'nan'"),
    "infinite": (put(17, "inf"), "line 5, .* column 15. Received: 'inf'"),
    "no task": (put(1, " "), "line 5, .* row with a task"),
    "short row": (shorten, "line 5, .*18 columns.*Received: 17"),
    "no label": (without(0), "no columns label"),
    "no bands": (lambda *_: (["label", "task"], []), "no columns 0, 1, 2"),
    "twice": (
        lambda header, rows: ([*header[:-1], "0", header[-1]], rows),
        "more than one column 0",
    ),
    "no rows": (lambda header, rows: (header, []), "no rows"),
    "few rows": (starve, "5 rows or more .*Received: 4 of task 'region_0'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_table(tmp_path, case):
    change, message = BROKEN[case]
    manual_dir = write_gloria(tmp_path, 5, 2)
    rewrite(manual_dir, change)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"gloria\.csv.*{message}"):
            load_gloria(tmp_path / "data", manual_dir)
    assert not (tmp_path / "data" / "gloria" / "1.0.0").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Received: nothing"),
        (b"label,task\xff", "utf-8"),
        (b'"label', "unexpected end of data"),
    ],
)
def test_no_table(tmp_path, content, message):
    manual_dir = write_gloria(tmp_path, 5, 2)
    (manual_dir / "gloria" / "gloria.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"gloria\.csv.*{message}"):
        load_gloria(tmp_path / "data", manual_dir)


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="`gloria` has to be fetched") as no:
        load_gloria(tmp_path / "data")
    assert str(tmp_path / "data" / "downloads" / "manual") in str(no.value)
    assert "PANGAEA.948492" in str(no.value)
