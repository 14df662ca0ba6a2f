"""Cityscapes as a TensorFlow Dataset, from files fetched by hand.

TensorFlow Datasets has a `cityscapes` of its own, without parts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from keras_selfaux.datasets._folder_builder import FolderBuilder, SizeConfig
from keras_selfaux.datasets._numbered import Files
from keras_selfaux.datasets._pixels import (
    resize_image,
    resize_nearest,
    to_image,
    to_labels,
    to_map,
)
from keras_selfaux.datasets._readers import Array, read_array, unreadable
from keras_selfaux.datasets.cityscapes._ids import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_PARTS,
    known_classes,
    known_parts,
    part_classes,
    train_classes,
)


class CityscapesTasksConfig(SizeConfig):
    """The size of the pictures, which also is the configuration's name.

    Args:
        height: In pixels. Defaults to 256.
        width: In pixels. Defaults to 512.

    Raises:
        ValueError: If one of them is not a whole number of at least 1.
    """

    def __init__(self, *, height: int = 256, width: int = 512) -> None:
        super().__init__(height=height, width=width)


class CityscapesTasks(FolderBuilder):
    """Streets, with classes, parts of things and disparity per pixel.

    Examples hold `image`, `seg`, `part_seg` and `disparity`; `load_cityscapes`
    says in which form. Files of another size than the configuration's are
    resized: images by averaging over areas, all else to the nearest pixel.
    `info.metadata` has the names of the `classes` and of the `parts`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [CityscapesTasksConfig()]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get Cityscapes (leftImg8bit, gtFine and disparity) from
    https://www.cityscapes-dataset.com, where one has to register, and its part
    labels, Cityscapes Panoptic Parts, from
    https://github.com/pmeletis/panoptic_parts. Number the examples, and copy
    them into a folder `cityscapes_tasks` in the folder for data fetched by
    hand, so that there are `cityscapes_tasks/train/image/0.png`,
    `.../seg/0.png` (labelIds), `.../part_seg/0.tif` and `.../depth/0.png`
    (disparity) and so on, and the same in `cityscapes_tasks/test` (or
    `cityscapes_tasks/val`). Arrays in .npy files serve as well.
    """
    KINDS = {  # noqa: RUF012
        "image": (".png", ".npy", ".jpg", ".jpeg"),
        "seg": (".png", ".npy"),
        "part_seg": (".png", ".npy", ".tif", ".tiff"),
        "depth": (".png", ".npy"),
    }

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(*size, 3), encoding_format="png"
                    ),
                    "seg": self._label_feature(),
                    "part_seg": self._label_feature(),
                    "disparity": tfds.features.Tensor(
                        shape=(*size, 1), dtype=np.float32
                    ),
                }
            ),
            homepage="https://www.cityscapes-dataset.com",
            # The order of the files' numbers is kept.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(
                classes=list(CITYSCAPES_CLASSES),
                parts=list(CITYSCAPES_PARTS),
            ),
        )

    def _read_example(self, files: Files) -> dict[str, Any]:
        size = self.builder_config.size
        image = to_image(read_array(files["image"]), files["image"])
        example = {"image": resize_image(image, size)}
        for name, (kind, convert) in _CONVERT.items():
            pixels = convert(read_array(files[kind]), files[kind])
            example[name] = resize_nearest(pixels, size)
        return example


def _to_classes(array: Array, path: Any) -> NDArray[np.uint8]:
    wanted = "ids of Cityscapes's classes, -1 to 33 or 255"
    ids = to_labels(array, path, wanted, known_classes)
    return train_classes(ids)[..., np.newaxis]


def _to_parts(array: Array, path: Any) -> NDArray[np.uint8]:
    wanted = "ids of classes, instances and parts as in Panoptic Parts"
    ids = to_labels(array, path, wanted, known_parts)
    return part_classes(ids)[..., np.newaxis]


def _to_disparity(array: Array, path: Any) -> NDArray[np.float32]:
    """Returns disparity, 0 where there is none.

    Cityscapes's PNG files have 0 where there is none, else 256 times the
    disparity plus 1. Arrays are taken as they are.
    """
    wanted = "disparities, [H, W] or [H, W, 1], in a PNG file as uint16"
    is_png = path.suffix.lower() == ".png"
    if is_png and array.dtype != np.uint16:
        raise unreadable(path, wanted, "a PNG file of 8 bits")
    disparity = to_map(array, path, wanted)
    if is_png:
        disparity = (disparity - 1) / np.float32(256)
    return np.maximum(disparity, 0)


_CONVERT: dict[str, tuple[str, Callable[[Array, Any], Array]]] = {
    "seg": ("seg", _to_classes),
    "part_seg": ("part_seg", _to_parts),
    "disparity": ("depth", _to_disparity),
}
