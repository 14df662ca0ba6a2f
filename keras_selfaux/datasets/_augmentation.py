"""Random scale, crop and flip that keep an image and its labels consistent."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_selfaux._checks import check_count, error
from keras_selfaux._types import Task, Tensor
from keras_selfaux.datasets._label_kinds import PIXEL_KINDS

PUBLISHED_SCALES = (1.0, 1.2, 1.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to an image and its labels in training.

    An image is enlarged by a random one of the `scales`, cropped at a random
    place, and mirrored half the time. What is enlarged is as if seen from
    nearer by: depths are divided, disparities multiplied by the scale. A
    normal is mirrored with its image, so that its x changes sign. Where the
    crop is larger than the scaled image, the rest is mid-grey without labels.

    The defaults are those of the multi-task literature on NYUv2 and
    Cityscapes (Liu, Johns, Davison, 2019, arXiv 1803.10704).

    Args:
        scales: The factors to choose from, each as likely. Defaults to
            `(1.0, 1.2, 1.5)`.
        crop_size: Height and width of the result, in pixels. Defaults to
            `None`: those of the image.
        flip: Whether to mirror left and right. Defaults to `True`.

    Raises:
        ValueError: If there is no scale, one is not positive, or the crop
            size is not two positive integers.
    """

    scales: tuple[float, ...] = PUBLISHED_SCALES
    crop_size: tuple[int, int] | None = None
    flip: bool = True

    def __post_init__(self) -> None:
        """Checks the arguments."""
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise error(
                "`scales` must be positive numbers, at least one.",
                received=f"scales={self.scales!r}",
                remedy="Pass factors such as (1.0, 1.2, 1.5).",
            )
        if self.crop_size is None:
            return
        if len(self.crop_size) != 2:
            raise error(
                "`crop_size` must be a height and a width.",
                received=f"crop_size={self.crop_size!r}",
                remedy="Pass two integers, or None for the image's own size.",
            )
        for side in self.crop_size:
            check_count("crop_size", side, least=1)


def augmented(
    example: Mapping[str, Tensor],
    kinds: Mapping[Task, str],
    augmentation: Augmentation,
    seed: Tensor,
) -> dict[str, Tensor]:
    """Augments one example.

    Args:
        example: `image` of shape `(H, W, C)`, and a label for every task.
        kinds: The labels' kinds, as in `_label_kinds`.
        augmentation: What may happen.
        seed: Two integers; the same ones give the same result.

    Returns:
        The same keys; the image as float32 in its own range, 0 to 255.
    """
    scale_seed, crop_seed, flip_seed = tf.unstack(
        tf.random.split(tf.cast(seed, tf.int32), 3)
    )
    shape = example["image"].shape
    height, width = augmentation.crop_size or (shape[0], shape[1])
    pixels = {"image": "image"}
    pixels |= {t: kind for t, kind in kinds.items() if kind in PIXEL_KINDS}
    scales = tf.constant(augmentation.scales, tf.float32)
    choice = tf.random.stateless_uniform(
        (), scale_seed, maxval=len(augmentation.scales), dtype=tf.int32
    )
    scale = scales[choice]
    changed = {
        name: _scaled(example[name], kind, scale)
        for name, kind in pixels.items()
    }
    size = tf.shape(changed["image"])[:2]
    window = tf.constant([height, width])
    # Where to begin in the scaled image, or, below zero, how much goes before.
    spare = size - window
    drawn = tf.random.stateless_uniform((2,), crop_seed)
    room = tf.cast(tf.abs(spare) + 1, tf.float32)
    begin = tf.sign(spare) * tf.minimum(
        tf.cast(drawn * room, tf.int32), tf.abs(spare)
    )
    is_flipped = tf.random.stateless_uniform((), flip_seed) < 0.5
    for name, kind in pixels.items():
        cropped = _cropped(changed[name], kind, begin, window)
        if augmentation.flip:
            mirrored = _mirrored(cropped, kind)
            cropped = tf.where(is_flipped, mirrored, cropped)
        channels = example[name].shape[-1]
        changed[name] = tf.ensure_shape(cropped, (height, width, channels))
    return {**example, **changed}


def _scaled(value: Tensor, kind: str, scale: Tensor) -> Tensor:
    size = tf.cast(tf.shape(value)[:2], tf.float32)
    size = tf.cast(tf.round(size * scale), tf.int32)
    if kind == "image":
        return tf.image.resize(value, size, antialias=True)
    # Labels are never blended: between a chair and a wall is no table, and
    # between a depth and a missing one no depth at all.
    value = tf.image.resize(value, size, "nearest")
    if kind == "depth":
        return value / scale
    if kind == "disparity":
        return value * scale
    return value


def _cropped(value: Tensor, kind: str, begin: Tensor, window: Tensor) -> Tensor:
    before = tf.maximum(-begin, 0)
    after = tf.maximum(window - (tf.shape(value)[:2] - begin), 0)
    padding = tf.concat(
        [tf.stack([before, after], axis=1), tf.zeros((1, 2), tf.int32)], axis=0
    )
    filling: Any = tf.cast(PIXEL_KINDS.get(kind, 127.5), value.dtype)
    value = tf.pad(value, padding, constant_values=filling)
    start = tf.concat([tf.maximum(begin, 0), [0]], axis=0)
    return tf.slice(value, start, tf.concat([window, [-1]], axis=0))


def _mirrored(value: Tensor, kind: str) -> Tensor:
    value = tf.reverse(value, axis=[1])
    if kind == "normals":
        return value * tf.constant([-1.0, 1.0, 1.0], value.dtype)
    return value
