"""Cityscapes as `tf.data` sets."""

from typing import Any

from keras_selfaux.datasets._manual import Path, prepare_splits
from keras_selfaux.datasets.cityscapes.cityscapes_tasks_dataset_builder import (
    CityscapesTasks,
    CityscapesTasksConfig,
)


def load_cityscapes(
    data_dir: Path | None = None,
    manual_dir: Path | None = None,
    *,
    height: int = 256,
    width: int = 512,
) -> dict[str, Any]:
    """Returns Cityscapes: streets with classes, parts and disparity per pixel.

    The data has to be fetched by hand; without it, the error says from where.
    It is read and written in the form of TensorFlow Datasets on the first call,
    and found from then on, without another look at `manual_dir`.

    Args:
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.
        manual_dir: The folder that has either `cityscapes_tasks/train` and
            `cityscapes_tasks/test` or `train` and `test` in it. Defaults to
            `None`: `<data_dir>/downloads/manual`.
        height: To which pictures are brought, in pixels. Defaults to 256.
        width: To which pictures are brought, in pixels. Defaults to 512.

    Returns:
        `{"train": ..., "validation": ..., "test": ...}`, three
        `tf.data.Dataset` of single examples, neither batched nor shuffled, in
        the order of the files' numbers. The last fifth of the training files is
        for validation. Examples are dictionaries:

        - `"image"`: uint8 `[height, width, 3]`, red, green, blue;
        - `"seg"`: uint8 `[height, width, 1]`, a class of `CITYSCAPES_CLASSES`
          or 255 (unlabelled);
        - `"part_seg"`: uint8 `[height, width, 1]`, a part of `CITYSCAPES_PARTS`
          or 255 (unlabelled);
        - `"disparity"`: float32 `[height, width, 1]`, 0 where missing. Its unit
          is that of the files, for PNG files pixels of the original pictures;
          resizing leaves the values as they are.

    Raises:
        ValueError: If the data is not there, or a file is missing or is not
            what it should be.

    Example:

    ```python
    data = load_cityscapes(manual_dir="~/fetched")
    train = data["train"].shuffle(500).batch(2)
    ```
    """
    config = CityscapesTasksConfig(height=height, width=width)
    builder = CityscapesTasks(config=config, data_dir=data_dir)
    return prepare_splits(builder, manual_dir)
