"""NYUv2 as `tf.data` sets."""

from typing import Any

from keras_selfaux.datasets._manual import Path, prepare_splits
from keras_selfaux.datasets.nyuv2.nyuv2_dataset_builder import (
    NYUv2,
    NYUv2Config,
)


def load_nyuv2(
    data_dir: Path | None = None,
    manual_dir: Path | None = None,
    *,
    height: int = 288,
    width: int = 384,
) -> dict[str, Any]:
    """Returns NYUv2: rooms with classes, depth and surface normals per pixel.

    The data has to be fetched by hand; without it, the error says from where.
    It is read and written in the form of TensorFlow Datasets on the first call,
    and found from then on, without another look at `manual_dir`.

    Args:
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.
        manual_dir: The folder that has either `nyuv2/train` and `nyuv2/test`
            or `train` and `test` in it. Defaults to `None`:
            `<data_dir>/downloads/manual`.
        height: Of the pictures in the files, in pixels. Defaults to 288.
        width: Of the pictures in the files, in pixels. Defaults to 384.

    Returns:
        `{"train": ..., "validation": ..., "test": ...}`, three
        `tf.data.Dataset` of single examples, neither batched nor shuffled, in
        the order of the files' numbers. The last fifth of the training files is
        for validation. Examples are dictionaries:

        - `"image"`: uint8 `[height, width, 3]`, red, green, blue;
        - `"seg"`: uint8 `[height, width, 1]`, a class of `NYUV2_CLASSES` or 255
          (unlabelled);
        - `"depth"`: float32 `[height, width, 1]`, metres, 0 where missing;
        - `"normal"`: float32 `[height, width, 3]`, of length 1, or 0 where
          missing; the directions of the axes are those of the files.

    Raises:
        ValueError: If the data is not there, or a file is missing or is not
            what it should be.

    Example:

    ```python
    data = load_nyuv2(manual_dir="~/fetched")
    train = data["train"].shuffle(636).batch(2)
    ```
    """
    config = NYUv2Config(height=height, width=width)
    return prepare_splits(NYUv2(config=config, data_dir=data_dir), manual_dir)
