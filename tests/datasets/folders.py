"""Small data in the true form of what has to be fetched by hand.

Every `write_*` fills a new folder in `folder` and returns the `manual_dir` to
pass to the loader. The numbers are random; the same seed gives the same ones.
"""

import csv
import pathlib
import zipfile

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

CELEB_A_FILES = (
    "identity_CelebA.txt",
    "img_align_celeba.zip",
    "list_attr_celeba.txt",
    "list_eval_partition.txt",
    "list_landmarks_align_celeba.txt",
)

_CITYSCAPES_IDS = (-1, 0, 4, 7, 8, 11, 23, 24, 25, 26, 28, 33)
_PART_IDS = (0, 7, 2401, 24, 24_001, 2_400_102, 2_500_004, 2_600_005, 2_800_300)


def write_nyuv2(
    folder, num_train=5, num_test=2, *, height=288, width=384, seed=0
):
    """Writes `nyuv2/train|test/{image,label,depth,normal}/N.npy`."""
    random = np.random.default_rng(seed)
    manual_dir = pathlib.Path(folder) / "manual_nyuv2"
    for split, count in (("train", num_train), ("test", num_test)):
        for number in range(count):
            arrays = _room(random, height, width)
            for kind, array in arrays.items():
                path = manual_dir / "nyuv2" / split / kind / f"{number}.npy"
                save_npy(path, array)
    return manual_dir


def _room(random, height, width):
    missing = random.random((height, width, 1)) < 0.2
    normal = random.normal(size=(height, width, 3))
    return {
        "image": random.random((height, width, 3), dtype=np.float32),
        "label": random.integers(-1, 13, (height, width)).astype(np.float32),
        "depth": np.where(missing, 0, random.uniform(0.5, 9, missing.shape)),
        "normal": np.where(missing, 0, normal),
    }


def write_cityscapes(
    folder, num_train=5, num_test=2, *, height=256, width=512, seed=0
):
    """Writes `cityscapes_tasks/train|test/{image,seg,part_seg,depth}/N.*`.

    Images and disparities are PNG files as Cityscapes has them, labels arrays.
    """
    random = np.random.default_rng(seed)
    manual_dir = pathlib.Path(folder) / "manual_cityscapes"
    shape = (height, width)
    for split, count in (("train", num_train), ("test", num_test)):
        root = manual_dir / "cityscapes_tasks" / split
        for number in range(count):
            save_png(
                root / "image" / f"{number}.png",
                random.integers(0, 256, (*shape, 3), np.uint8),
            )
            save_npy(
                root / "seg" / f"{number}.npy",
                random.choice(_CITYSCAPES_IDS, shape),
            )
            save_npy(
                root / "part_seg" / f"{number}.npy",
                random.choice(_PART_IDS, shape),
            )
            save_png(
                root / "depth" / f"{number}.png",
                random.integers(0, 20_000, (*shape, 1), np.uint16),
            )
    return manual_dir


def write_celeb_a(folder, num_train=4, num_validation=2, num_test=2, *, seed=0):
    """Writes the five files of CelebA; see `accept_celeb_a`."""
    random = np.random.default_rng(seed)
    manual_dir = pathlib.Path(folder) / "manual_celeb_a"
    manual_dir.mkdir(parents=True)
    splits = np.repeat([0, 1, 2], [num_train, num_validation, num_test])
    names = [f"{index:06d}.jpg" for index in range(1, len(splits) + 1)]
    features = tfds.builder_cls("celeb_a")(data_dir=folder).info.features
    with zipfile.ZipFile(manual_dir / "img_align_celeba.zip", "w") as images:
        for name in names:
            # One colour, so that pixels survive the compression.
            image = np.tile(random.integers(0, 256, 3, np.uint8), (218, 178, 1))
            content = tf.io.encode_jpeg(image, quality=100).numpy()
            images.writestr(f"img_align_celeba/{name}", content)
    columns = {
        "list_attr_celeba.txt": (
            list(features["attributes"]),
            random.choice([-1, 1], (len(names), 40)),
        ),
        "list_landmarks_align_celeba.txt": (
            list(features["landmarks"]),
            random.integers(0, 178, (len(names), 10)),
        ),
        "list_eval_partition.txt": (None, splits[:, np.newaxis]),
        "identity_CelebA.txt": (
            None,
            random.integers(1, 9, (len(names), 1)),
        ),
    }
    for file, (header, values) in columns.items():
        lines = [str(len(names)), " ".join(header)] if header else []
        for name, row in zip(names, values, strict=True):
            lines.append(" ".join([name, *map(str, row)]))
        (manual_dir / file).write_text("\n".join([*lines, ""]))
    return manual_dir


def accept_celeb_a(monkeypatch, manual_dir):
    """Makes TensorFlow Datasets take small files for the published ones.

    It knows those by their checksums.
    """
    builder = tfds.builder_cls("celeb_a")
    small = {
        url: checksums.compute_url_info(manual_dir / info.filename)
        for url, info in builder.url_infos.items()
    }
    monkeypatch.setattr(builder, "url_infos", small)


def write_gloria(folder, rows_per_task=10, num_tasks=10, *, seed=0):
    """Writes `gloria/gloria.csv`; task `region_k` has k rows more."""
    random = np.random.default_rng(seed)
    manual_dir = pathlib.Path(folder) / "manual_gloria"
    rows = []
    for task in range(num_tasks):
        weights = random.normal(size=16)
        for _ in range(rows_per_task + task):
            bands = random.uniform(0, 0.05, 16)
            label = 2 + 40 * bands @ weights
            rows.append([label, f"region_{task}", *bands])
    random.shuffle(rows)
    path = manual_dir / "gloria" / "gloria.csv"
    save_csv(path, ["label", "task", *map(str, range(16))], rows)
    return manual_dir


def save_npy(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def save_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(array).numpy())


def save_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
