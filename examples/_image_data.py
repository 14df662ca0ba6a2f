"""Images with labels, as batches."""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_selfaux.datasets import pipeline


class ImageData:
    """Training, validation and test data as `tf.data` sets of batches.

    Args:
        examples: `train`, `validation` and `test`: single examples, with
            `image` and the tasks' labels.
        kinds: The labels' kinds, as in `pipeline.batches`.
        batch_size: Images per batch.
        augmentation: What may happen to images in training.
        in_memory: Whether examples are decoded only once and kept.
    """

    def __init__(
        self,
        examples: Mapping[str, tf.data.Dataset],
        kinds: Mapping[str, str],
        batch_size: int,
        augmentation: pipeline.Augmentation | None = None,
        *,
        in_memory: bool = True,
    ) -> None:
        # Here and not in the pipeline, so that all runs share one copy.
        self._examples = {
            split: dataset.cache() if in_memory else dataset
            for split, dataset in examples.items()
        }
        self._kinds = kinds
        self._augmentation = augmentation
        count = int(examples["train"].cardinality())
        self._batch_sizes = {
            split: min(batch_size, int(dataset.cardinality()))
            for split, dataset in examples.items()
        }
        self.steps_per_epoch = math.ceil(count / batch_size)
        self.splits = {
            # The seed is the data's own: an enumeration sets Keras's later.
            "train": self._batches(
                "train", shuffle=True, augmentation=augmentation, seed=0
            ),
            "validation": self.held_out("validation"),
            "test": self.held_out("test"),
        }

    def endless(self, split: str) -> tf.data.Dataset:
        """Returns endless batches of one size, in random order.

        Those of training images are augmented.
        """
        return self._batches(
            split,
            shuffle=True,
            augmentation=self._augmentation if split == "train" else None,
            repeat=True,
        )

    def held_out(self, split: str) -> tf.data.Dataset:
        """Returns the images as they are, in their order."""
        return self._batches(split)

    def _batches(self, split: str, **options: Any) -> tf.data.Dataset:
        return pipeline.batches(
            self._examples[split],
            self._kinds,
            batch_size=self._batch_sizes[split],
            cache=False,
            **options,
        )
