"""What builders of pictures in numbered files have in common."""

import abc
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from keras_selfaux._checks import check_count
from keras_selfaux.datasets._builder import LocalBuilder
from keras_selfaux.datasets._manual import find_by_hand
from keras_selfaux.datasets._numbered import Files, split_files
from keras_selfaux.datasets._pixels import Size


class SizeConfig(tfds.core.BuilderConfig):
    """The size of the pictures, which also is the configuration's name."""

    def __init__(self, *, height: int, width: int) -> None:
        check_count("height", height, least=1)
        check_count("width", width, least=1)
        super().__init__(
            name=f"{height}x{width}",
            description=f"Pictures {height} pixels high and {width} wide.",
        )
        self.height = height
        self.width = width

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return self.height, self.width


class FolderBuilder(LocalBuilder):
    """Prepares `train|test/<kind>/N.*`, example by example in order of N."""

    KINDS: ClassVar[Mapping[str, Collection[str]]]
    """The folders and the suffixes of the files in them."""

    @abc.abstractmethod
    def _read_example(self, files: Files) -> dict[str, Any]:
        """Returns one example, or raises a `ValueError` that names a file."""

    def _label_feature(self) -> Any:
        """Returns the feature of one label per pixel."""
        shape = (*self.builder_config.size, 1)
        return tfds.features.Image(
            shape=shape, dtype=np.uint8, encoding_format="png"
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        instructions = self.MANUAL_DOWNLOAD_INSTRUCTIONS
        root = find_by_hand(dl_manager, self.name, "train", instructions)
        return {
            split: self._generate_examples(examples)
            for split, examples in split_files(root, self.KINDS).items()
        }

    def _generate_examples(
        self, examples: list[Files]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, files in enumerate(examples):
            yield index, self._read_example(files)
