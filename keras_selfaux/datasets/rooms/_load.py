"""Rooms as `tf.data` pipelines."""

import os
from typing import Any

import tensorflow as tf

from keras_selfaux.datasets.rooms.rooms_dataset_builder import (
    Rooms,
    RoomsConfig,
)


def load_rooms(
    size: str = "48x64", data_dir: str | os.PathLike[str] | None = None
) -> dict[str, tf.data.Dataset]:
    """Returns rendered rooms with labels for every pixel.

    The data is rendered and written on the first call, which takes about a
    minute at 48x64, and read from then on.

    Args:
        size: Height and width in pixels: `"48x64"`, `"96x128"`, `"288x384"` or
            others alike. Defaults to `"48x64"`.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.

    Returns:
        `{"train": dataset, "validation": dataset, "test": dataset}` of 800,
        200 and 400 examples: unbatched, always in the same order, each a
        dictionary of `image`, `seg`, `depth`, `normal` and `focal_length`. See
        `Rooms` for what they hold.

    Raises:
        ValueError: If `size` is not a height and a width from 16 to 1,024.

    Example:

    ```python
    train = load_rooms("48x64")["train"]
    pairs = train.map(
        lambda example: (
            tf.cast(example["image"], tf.float32) / 255.0,
            {"seg": example["seg"], "depth": example["depth"]},
        )
    )
    ```
    """
    builder = Rooms(config=RoomsConfig(size), data_dir=data_dir)
    builder.download_and_prepare()
    splits: dict[str, Any] = {
        split: builder.as_dataset(split=split)
        for split in builder.builder_config.counts
    }
    return splits
