"""What builders of pictures in numbered files have in common."""

import abc
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from keras_selfaux._checks import check_count
from keras_selfaux.datasets._manual import find_by_hand
from keras_selfaux.datasets._numbered import Files, split_files
from keras_selfaux.datasets._pixels import Size
from keras_selfaux.datasets._quiet import quiet_without_terminal


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


class FolderBuilder(tfds.core.GeneratorBasedBuilder):
    """Prepares `train|test/<kind>/N.*`, example by example in order of N."""

    KINDS: ClassVar[Mapping[str, Collection[str]]]
    """The folders and the suffixes of the files in them."""

    def __init__(self, *, config: Any = None, **kwargs: Any) -> None:
        if isinstance(config, SizeConfig):
            # TFDS refuses a configuration that has the name of a built-in one
            # without being that very object.
            config = self.builder_configs.get(config.name, config)
        super().__init__(config=config, **kwargs)

    @abc.abstractmethod
    def _read_example(self, files: Files) -> dict[str, Any]:
        """Returns one example, or raises a `ValueError` that names a file."""

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Writes the data once; a second call finds it.

        Args:
            **kwargs: As in `tfds.core.DatasetBuilder.download_and_prepare`.

        Raises:
            ValueError: If a file is missing or is not what it should be. No
                part of the data is kept then.
        """
        with quiet_without_terminal():
            super().download_and_prepare(**kwargs)

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
