"""Classes and parts from the ids that the labels' files hold.

Ids of classes are those of cityscapesScripts; ids with parts are those of the
Panoptic Parts data sets.
"""

import numpy as np
from numpy.typing import NDArray

from keras_selfaux.datasets._label_kinds import MISSING_CLASS

CITYSCAPES_CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)

CITYSCAPES_PARTS = (
    "background",
    "torso",
    "head",
    "arm",
    "leg",
    "window",
    "wheel",
    "light",
    "license plate",
    "chassis",
)

_NO_ID = -1
_HIGHEST_ID = 33

_TRAIN_IDS = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
# Nobody labelled these: unlabelled, own car, rectification border, out of
# region of interest.
_NOT_LABELLED_IDS = range(4)
_HUMANS = (24, 25)
_VEHICLES = (26, 27, 28)
_HUMAN_PARTS = 4
_VEHICLE_PARTS = 5


def known_classes(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns where ids of classes are such as `train_classes` takes."""
    return np.isin(ids, [*range(_NO_ID, _HIGHEST_ID + 1), MISSING_CLASS])


def train_classes(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns the 19 classes that are trained on.

    Args:
        ids: Ids of classes, -1 to 33, or 255, which stands for -1 where a file
            cannot hold negative numbers.

    Returns:
        An index into `CITYSCAPES_CLASSES`, or 255 for all other ids.
    """
    table = np.full(256, MISSING_CLASS, np.uint8)
    table[list(_TRAIN_IDS)] = np.arange(len(_TRAIN_IDS))
    return table[ids]


def semantic_and_part(
    ids: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns ids of classes and of parts; a part of 0 is none.

    Args:
        ids: Without instance and part, an id is that of the class, two digits.
            Two digits of the part may follow, three of the instance, or both:
            those of the instance first.
    """
    has_part = (ids >= 100) & (ids < 10_000) | (ids >= 100_000)
    digits_behind = np.select(
        [ids < 100, ids < 10_000, ids < 100_000], [1, 100, 1_000], 100_000
    )
    return ids // digits_behind, np.where(has_part, ids % 100, 0)


def known_parts(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns where ids of parts are such as `part_classes` takes."""
    semantic, part = semantic_and_part(ids)
    highest = np.full(_HIGHEST_ID + 1, 99)
    highest[list(_HUMANS)] = _HUMAN_PARTS
    highest[list(_VEHICLES)] = _VEHICLE_PARTS
    is_class = (semantic >= 0) & (semantic <= _HIGHEST_ID)
    is_part = part <= highest[np.where(is_class, semantic, 0)]
    return np.where(is_class, is_part, ids == _NO_ID)


def part_classes(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns which of ten parts pixels show.

    Args:
        ids: Such as `semantic_and_part` takes, or -1.

    Returns:
        An index into `CITYSCAPES_PARTS`. It is 0, background, for classes
        that have no parts, and 255 where the part is not known: the class has
        parts but the pixel has none, or nobody labelled the pixel.
    """
    semantic, part = semantic_and_part(ids)
    is_human = np.isin(semantic, _HUMANS)
    is_vehicle = np.isin(semantic, _VEHICLES)
    not_labelled = (ids < 0) | np.isin(semantic, _NOT_LABELLED_IDS)
    unknown = not_labelled | ((is_human | is_vehicle) & (part == 0))
    parts = np.select(
        [unknown, is_human, is_vehicle],
        [MISSING_CLASS, part, part + _HUMAN_PARTS],
        0,
    )
    return parts.astype(np.uint8)
