"""Rooms as a TensorFlow Dataset. Nothing is downloaded."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_selfaux._checks import check_count, error
from keras_selfaux.datasets._builder import LocalBuilder
from keras_selfaux.datasets.rooms._draw import draw_scene, generator
from keras_selfaux.datasets.rooms._render import Picture, render
from keras_selfaux.datasets.rooms._scene import ROOM_CLASSES, UNLABELLED

SIZES = ("48x64", "96x128", "288x384")
DEFAULT_COUNTS = {"train": 800, "validation": 200, "test": 400}
LEAST_SIDE, GREATEST_SIDE = 16, 1_024

_SEED = 0
# Streams of chance that must not meet: one for scenes, one for noise.
_SCENES, _NOISE = 0, 1


def _height_and_width(size: str) -> tuple[int, int]:
    """Returns the two sides that a size such as `"48x64"` names."""
    # No leading zeros: one size has one name, and so one data folder.
    sides = isinstance(size, str) and re.fullmatch(
        r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})", size
    )
    if sides:
        height, width = map(int, sides.groups())
        least, greatest = sorted((height, width))
        if least >= LEAST_SIDE and greatest <= GREATEST_SIDE:
            return height, width
    raise error(
        f"`size` must name a height and a width from {LEAST_SIDE} to "
        f"{GREATEST_SIDE} pixels.",
        received=f"size={size!r}",
        remedy=f"Pass a size such as {', '.join(map(repr, SIZES))}.",
    )


def draw_picture(split: str, index: int, height: int, width: int) -> Picture:
    """Returns one picture, which depends on no other.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        index: From 0.
        height: Pixels.
        width: Pixels.

    Returns:
        The picture. At another size it shows the same scene, with noise of
        its own.
    """
    key = (_SEED, list(DEFAULT_COUNTS).index(split), index)
    noise = generator(_NOISE, *key, height, width)
    return render(draw_scene(_SCENES, *key), height, width, noise)


class RoomsConfig(tfds.core.BuilderConfig):
    """How large the pictures are, and how many there are.

    The name is the size, followed by the numbers of pictures if they are not
    the default ones, so that no two configurations share a data folder.

    Args:
        size: Height and width in pixels, such as `"48x64"`, each from 16 to
            1,024. Defaults to `"48x64"`.
        num_train: Pictures for training. Defaults to 800.
        num_validation: Pictures for validation. Defaults to 200.
        num_test: Pictures for testing. Defaults to 400.

    Raises:
        ValueError: If `size` is not such a text, or a number is not a positive
            integer.

    Example:

    >>> RoomsConfig("96x128").name
    '96x128'
    """

    def __init__(
        self,
        size: str = SIZES[0],
        *,
        num_train: int = DEFAULT_COUNTS["train"],
        num_validation: int = DEFAULT_COUNTS["validation"],
        num_test: int = DEFAULT_COUNTS["test"],
    ) -> None:
        height, width = _height_and_width(size)
        counts = {
            "train": num_train,
            "validation": num_validation,
            "test": num_test,
        }
        for split, count in counts.items():
            check_count(f"num_{split}", count, least=1)
        name = size
        if counts != DEFAULT_COUNTS:
            name += "".join(f"_{key}_{value}" for key, value in counts.items())
        super().__init__(
            name=name,
            description=f"Pictures {height} pixels high and {width} wide.",
        )
        self.height = height
        self.width = width
        self.counts = counts


class Rooms(LocalBuilder):
    """Rendered rooms with classes, depth and surface normals of every pixel.

    Every example shows another room, and has

    - `image`: uint8 `[height, width, 3]`, red, green and blue;
    - `seg`: uint8 `[height, width, 1]`, an index into `Rooms.CLASSES`, or 255
      for what has no label;
    - `depth`: float32 `[height, width, 1]`, metres along the optical axis (not
      along the ray), or 0 where it is missing;
    - `normal`: float32 `[height, width, 3]`, the unit vector that stands on
      the surface and faces the camera, or 0 where it is missing;
    - `focal_length`: float32, pixels, the same along both axes.

    Depth and normal are missing where the camera sees the glass of a window,
    as with a sensor. Camera axes: x to the right, y down, z forward. With the
    focal length f, the pixel in row i and column j, both from 0, shows the
    point depth * ((j + 0.5 - width / 2) / f, (i + 0.5 - height / 2) / f, 1),
    exactly: labels belong to the pixel's centre. A normal n faces the camera
    in that n · point < 0.

    Examples come in a fixed order. Splits are drawn apart; more examples of a
    split come behind its first ones. One place in a split shows the same scene
    in all configurations. Sizes whose width is not 4/3 of their height show
    more or less of it above and below.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [RoomsConfig(size) for size in SIZES]  # noqa: RUF012
    CLASSES = ROOM_CLASSES
    UNLABELLED = UNLABELLED

    def _info(self) -> tfds.core.DatasetInfo:
        shape = (self.builder_config.height, self.builder_config.width)
        features = tfds.features
        return self.dataset_info_from_configs(
            features=features.FeaturesDict(
                {
                    "image": features.Image(
                        shape=(*shape, 3), encoding_format="png"
                    ),
                    "seg": features.LabeledImage(
                        labels=list(ROOM_CLASSES), shape=(*shape, 1)
                    ),
                    "depth": features.Tensor(
                        shape=(*shape, 1), dtype=np.float32, encoding="zlib"
                    ),
                    "normal": features.Tensor(
                        shape=(*shape, 3), dtype=np.float32, encoding="zlib"
                    ),
                    "focal_length": features.Scalar(dtype=np.float32),
                }
            ),
            supervised_keys=("image", "seg"),
            # Shuffling would hide the order that places in a split have.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(
                classes=list(ROOM_CLASSES), unlabelled=UNLABELLED
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        return {
            split: self._generate_examples(split, count)
            for split, count in self.builder_config.counts.items()
        }

    def _generate_examples(
        self, split: str, count: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields the first examples of a split, in order."""
        config = self.builder_config
        for index in range(count):
            picture = draw_picture(split, index, config.height, config.width)
            yield index, picture._asdict()
