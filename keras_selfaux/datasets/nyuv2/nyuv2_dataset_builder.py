"""NYUv2 as a TensorFlow Dataset, from files fetched by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from keras_selfaux.datasets._folder_builder import FolderBuilder, SizeConfig
from keras_selfaux.datasets._label_kinds import MISSING_CLASS
from keras_selfaux.datasets._numbered import Files
from keras_selfaux.datasets._pixels import (
    check_size,
    to_image,
    to_labels,
    to_map,
)
from keras_selfaux.datasets._readers import Array, read_array, unreadable

NYUV2_CLASSES = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)


class NYUv2Config(SizeConfig):
    """The size of the pictures, which also is the configuration's name.

    Args:
        height: In pixels. Defaults to 288.
        width: In pixels. Defaults to 384.

    Raises:
        ValueError: If one of them is not a whole number of at least 1.
    """

    def __init__(self, *, height: int = 288, width: int = 384) -> None:
        super().__init__(height=height, width=width)


class NYUv2(FolderBuilder):
    """Rooms, with classes, depth and surface normals per pixel.

    Examples hold `image`, `seg`, `depth` and `normal`; `load_nyuv2` says in
    which form. Files of another size than the configuration's are refused.
    `info.metadata["classes"]` has the names of the classes.
    """

    name = "nyuv2"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [NYUv2Config()]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get NYUv2 as preprocessed for "End-to-End Multi-Task Learning with
    Attention" (Liu, Johns and Davison, 2019) from the link on
    https://github.com/lorenmt/mtan, and unpack it into a folder `nyuv2` in the
    folder for data fetched by hand, so that there are
    `nyuv2/train/{image,label,depth,normal}/0.npy` and so on, and the same in
    `nyuv2/test` (or `nyuv2/val`).
    """
    # The published data has 795 and 654 examples. That is not enforced, so that
    # a part of it can be used.
    KINDS = dict.fromkeys(("image", "label", "depth", "normal"), (".npy",))

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(*size, 3), encoding_format="png"
                    ),
                    "seg": self._label_feature(),
                    "depth": tfds.features.Tensor(
                        shape=(*size, 1), dtype=np.float32
                    ),
                    "normal": tfds.features.Tensor(
                        shape=(*size, 3), dtype=np.float32
                    ),
                }
            ),
            homepage="https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html",
            # The order of the files' numbers is kept.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(classes=list(NYUV2_CLASSES)),
        )

    def _read_example(self, files: Files) -> dict[str, Any]:
        example: dict[str, Any] = {}
        for kind, convert in _CONVERT.items():
            example[kind] = convert(read_array(files[kind]), files[kind])
            check_size(example[kind], self.builder_config.size, files[kind])
        example["seg"] = example.pop("label")
        return example


def _to_seg(array: Array, path: Any) -> NDArray[np.uint8]:
    highest = len(NYUV2_CLASSES) - 1
    labels = to_labels(
        array,
        path,
        f"classes from 0 to {highest}, or -1",
        lambda labels: (labels >= -1) & (labels <= highest),
    )
    seg = np.where(labels < 0, MISSING_CLASS, labels).astype(np.uint8)
    return seg[..., np.newaxis]


def _to_depth(array: Array, path: Any) -> NDArray[np.float32]:
    wanted = "depths in metres, 0 or more, [H, W, 1] or [H, W]"
    depth = to_map(array, path, wanted)
    if depth.min() < 0:
        raise unreadable(path, wanted, depth.min())
    return depth


def _to_normals(array: Array, path: Any) -> NDArray[np.float32]:
    wanted = "vectors of finite floating-point numbers, [H, W, 3]"
    # Whole numbers would be vectors that were packed into a picture.
    if array.dtype.kind != "f":
        raise unreadable(path, wanted, f"dtype {array.dtype}")
    normals = to_map(array, path, wanted, channels=3).astype(np.float64)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals /= np.where(length == 0, 1, length)
    return normals.astype(np.float32)


_CONVERT: dict[str, Callable[[Array, Any], Array]] = {
    "image": to_image,
    "label": _to_seg,
    "depth": _to_depth,
    "normal": _to_normals,
}
