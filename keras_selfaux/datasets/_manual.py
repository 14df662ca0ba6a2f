"""Data that has to be fetched by hand, and where it is looked for.

TensorFlow Datasets has one folder for all data of that kind,
`<data_dir>/downloads/manual`, unless another one is named.
"""

import os
from typing import Any

import tensorflow_datasets as tfds

from keras_selfaux._checks import error

Path = str | os.PathLike[str]

SPLITS = ("train", "validation", "test")


def download_config(manual_dir: Path | None) -> Any:
    """Returns the `tfds.download.DownloadConfig` that names the folder."""
    # TFDS itself would read `~` as the name of a folder here.
    folder = None if manual_dir is None else os.path.expanduser(manual_dir)
    return tfds.download.DownloadConfig(manual_dir=folder)


def find_by_hand(
    dl_manager: Any, name: str, entry: str, instructions: str
) -> Any:
    """Returns the folder in which somebody has put a data set.

    Args:
        dl_manager: The download manager of TensorFlow Datasets.
        name: The data set's name. Its data is either in the folder of this name
            in `dl_manager.manual_dir` or in `dl_manager.manual_dir` itself.
        entry: What is in the folder: a file's or a folder's name.
        instructions: What to get, and from where.

    Returns:
        The folder that has `entry` in it, as a `pathlib`-like path.

    Raises:
        ValueError: If there is none; it says where it was looked for.
    """
    try:
        root = dl_manager.manual_dir
    except AssertionError as missing:
        # It has the path, which nothing public tells, and then instructions.
        found = str(missing).partition(" Create it")[0].rstrip(".")
        raise _not_found(name, found, instructions) from missing
    for folder in (root / name, root):
        if (folder / entry).exists():
            return folder
    found = f"neither {root / name / entry} nor {root / entry} exists"
    raise _not_found(name, found, instructions)


def _not_found(name: str, found: str, instructions: str) -> ValueError:
    return error(
        f"The data set `{name}` has to be fetched by hand.",
        received=found,
        remedy=" ".join(instructions.split()),
    )


def prepare_splits(builder: Any, manual_dir: Path | None) -> dict[str, Any]:
    """Returns `{split: tf.data.Dataset}`, after the data has been prepared."""
    builder.download_and_prepare(download_config=download_config(manual_dir))
    return {split: builder.as_dataset(split=split) for split in SPLITS}
