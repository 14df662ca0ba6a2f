"""What the builders of this package have in common."""

import abc
from typing import Any

import tensorflow_datasets as tfds

from keras_selfaux.datasets._quiet import quiet_without_terminal


class LocalBuilder(tfds.core.GeneratorBasedBuilder, abc.ABC):
    """Makes its data here, or of files that are here: nothing is downloaded."""

    def __init__(self, *, config: Any = None, **kwargs: Any) -> None:
        if isinstance(config, tfds.core.BuilderConfig):
            # TFDS refuses a configuration that has the name of a built-in one
            # without being that very object.
            config = self.builder_configs.get(config.name, config)
        super().__init__(config=config, **kwargs)

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Writes the data once; a second call finds it.

        Args:
            **kwargs: As in `tfds.core.DatasetBuilder.download_and_prepare`.

        Raises:
            ValueError: If a file that the data is made of is missing or is
                not what it should be. No part of the data is kept then.
        """
        with quiet_without_terminal():
            super().download_and_prepare(**kwargs)
