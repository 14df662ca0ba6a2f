"""From images with labels to batches, by tf.data.

Data sets for dense prediction hold images of bytes, and labels in which a
number stands for what is missing. `batches` turns them into what `fit` takes:

```python
from keras_selfaux.datasets import load_rooms, pipeline

examples = load_rooms("48x64")
labels = {"seg": "classes", "depth": "depth", "normal": "normals"}
train = pipeline.batches(
    examples["train"],
    labels,
    batch_size=16,
    shuffle=True,
    augmentation=pipeline.Augmentation(),
)
validation = pipeline.batches(examples["validation"], labels, batch_size=16)
model.fit(train, validation_data=validation, meta_data=validation)
```
"""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import check_count, error
from keras_selfaux._images import as_pixels, scaled
from keras_selfaux._types import Task, Tensor
from keras_selfaux.datasets._augmentation import Augmentation, augmented
from keras_selfaux.datasets._label_kinds import (
    MISSING_CLASS,
    as_label,
    check_kinds,
)

__all__ = ["MISSING_CLASS", "Augmentation", "as_pixels", "batches"]

_SHUFFLE_BUFFER = 1_000
"""Examples at most: a thousand of NYUv2's size take 2 GB."""


def batches(
    examples: tf.data.Dataset,
    labels: Mapping[Task, str],
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int | None = None,
    augmentation: Augmentation | None = None,
    cache: bool | str | os.PathLike[str] = True,
    repeat: bool = False,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Returns batches of images and labels, ready for `fit`.

    Args:
        examples: Single examples, dicts with `image`, uint8 of shape
            `(height, width, channels)`, and a label for every task. Images
            are of one size.
        labels: The tasks, and the kinds of their labels:

            - `"classes"`: class numbers, `(height, width, 1)`, 255 where
              missing. They become int32, with 255 as before, for losses with
              `ignore_class=255`.
            - `"depth"`, `"disparity"`: `(height, width, 1)`, 0 where missing.
            - `"normals"`: unit vectors, `(height, width, 3)`, 0 where missing.
            - `"attribute"`: a number. It gets the shape `(1,)`.
            - `"value"`: numbers of any shape, which stay as they are.

            All but classes become float32, with NaN where missing.
        batch_size: Examples per batch.
        shuffle: Whether to shuffle the examples, anew for every pass.
            Defaults to `False`.
        seed: Makes shuffling and augmentation the same in every process.
            Defaults to `None`: `keras.utils.set_random_seed` decides.
        augmentation: What may happen to an example, differently in every
            pass. Defaults to `None`: nothing.
        cache: Whether to keep the examples in memory, before they are
            shuffled and augmented, or the path of files to keep them in.
            Defaults to `True`.
        repeat: Whether to go on without end, so that no epoch has a smaller
            last batch; `fit` needs `steps_per_epoch` then. Defaults to
            `False`.
        drop_remainder: Whether to leave out a smaller last batch. Defaults
            to `False`.

    Returns:
        A `tf.data.Dataset` of `(images, {task: labels})`; images are float32
        from -1 to 1.

    Raises:
        ValueError: If the examples lack an image or a label, images are not
            of one size, or a kind is unknown.
    """
    check_count("batch_size", batch_size, least=1)
    check_kinds(labels)
    _check_examples(examples, labels, augmentation)

    def chosen(example: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: example[name] for name in ("image", *labels)}

    def finished(example: Mapping[str, Tensor]) -> tuple[Tensor, Any]:
        image = scaled(example["image"])
        return image, {t: as_label(example[t], k) for t, k in labels.items()}

    dataset = examples.map(chosen)
    if cache is True:
        dataset = dataset.cache()
    elif cache:
        dataset = dataset.cache(os.fspath(cache))
    if shuffle:
        size = dataset.cardinality()
        if size < 1:  # unknown
            size = _SHUFFLE_BUFFER
        dataset = dataset.shuffle(min(size, _SHUFFLE_BUFFER), seed)
    if repeat:
        dataset = dataset.repeat()
    if augmentation is None:
        dataset = dataset.map(finished, tf.data.AUTOTUNE)
    else:
        numbers = tf.data.Dataset.random(
            seed, rerandomize_each_iteration=True
        ).batch(2, drop_remainder=True)
        dataset = tf.data.Dataset.zip(dataset, numbers).map(
            lambda example, number: finished(
                augmented(example, labels, augmentation, number)
            ),
            tf.data.AUTOTUNE,
        )
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _check_examples(
    examples: tf.data.Dataset,
    labels: Mapping[Task, str],
    augmentation: Augmentation | None,
) -> None:
    """Raises unless examples have an image and all labels."""
    spec = examples.element_spec
    names = [*spec] if isinstance(spec, Mapping) else None
    if names is None or not {"image", *labels} <= {*names}:
        raise error(
            f"`examples` must be dicts with 'image' and {list(labels)}.",
            received=f"{spec}" if names is None else f"keys {names}",
            remedy="Pass single examples as the loaders give them, unbatched.",
        )
    shape = spec["image"].shape
    if shape.rank != 3 or (augmentation and None in shape):
        raise error(
            "Images must be of one size, (height, width, channels).",
            received=f"shape {shape}",
            remedy="Resize them, and do not batch them.",
        )
