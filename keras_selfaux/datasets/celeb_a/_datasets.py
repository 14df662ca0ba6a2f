"""CelebA as `tf.data` sets, on top of TensorFlow Datasets's own builder."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_selfaux._checks import check_within, error
from keras_selfaux.datasets._manual import SPLITS, Path, download_config
from keras_selfaux.datasets._quiet import quiet_without_terminal
from keras_selfaux.datasets.celeb_a._by_hand import not_prepared

CELEB_A_ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Black_Hair",
    "Blond_Hair",
    "Brown_Hair",
    "Goatee",
    "Mustache",
    "No_Beard",
    "Rosy_Cheeks",
    "Wearing_Hat",
)
"""The nine attributes that arXiv 2109.04617 learns together."""


def celeb_a_attributes(attributes: Sequence[str] | str = "all") -> list[str]:
    """Returns names of attributes of CelebA, in the order in which they come.

    Args:
        attributes: Names, each once, or `"all"` for all 40, which is the
            default.

    Raises:
        ValueError: If a name is unknown or given twice, or there is none.

    Example:

    >>> len(keras_selfaux.datasets.celeb_a_attributes())
    40
    """
    known = list(_all_attributes())
    if attributes == "all":
        return known
    unknown = [name for name in attributes if name not in known]
    # A single name as a text would be taken for a list of letters.
    if isinstance(attributes, str):
        attributes = unknown = [attributes]
    if unknown or not attributes or len({*attributes}) < len(attributes):
        raise error(
            "`attributes` must be 'all' or a list of names of attributes, at "
            "least one, each once.",
            received=f"{list(attributes)} (unknown: {unknown})",
            remedy=f"Choose from {known}.",
        )
    return list(attributes)


def load_celeb_a(
    attributes: Sequence[str] | str = CELEB_A_ATTRIBUTES,
    fraction: float = 1.0,
    data_dir: Path | None = None,
    manual_dir: Path | None = None,
) -> dict[str, Any]:
    """Returns CelebA: faces, with attributes that are there or not.

    The data is downloaded and written in the form of TensorFlow Datasets on the
    first call (about 1.4 GiB), and found from then on. If that fails, the error
    says which files to fetch by hand, and where to put them; without a network
    it comes after minutes, in which TensorFlow Datasets tries again.

    Args:
        attributes: Names of attributes, each once, or `"all"` for all 40.
            Defaults to `CELEB_A_ATTRIBUTES`: nine of them.
        fraction: The share of the training examples, in (0, 1]: the first ones
            in the order in which TensorFlow Datasets keeps them, which is the
            same always. Validation and test examples are always all there.
            Defaults to 1.0.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.
        manual_dir: The folder of files fetched by hand. Defaults to `None`:
            `<data_dir>/downloads/manual`.

    Returns:
        `{"train": ..., "validation": ..., "test": ...}`, three
        `tf.data.Dataset` of single examples, neither batched nor shuffled:
        dictionaries of `"image"`, uint8 `[218, 178, 3]`, and the attributes,
        each an int32 scalar: 1 if the face has it, else 0.

    Raises:
        ValueError: If an attribute is unknown or named twice, `fraction` is out
            of its range, or the data could not be prepared.

    Example:

    ```python
    data = load_celeb_a(["Goatee", "Mustache"], fraction=0.1)
    train = data["train"].shuffle(1_000).batch(256)
    ```
    """
    names = celeb_a_attributes(attributes)
    builder = tfds.builder("celeb_a", data_dir=data_dir)
    check_within("fraction", fraction, "(0, 1]")
    try:
        with quiet_without_terminal():
            builder.download_and_prepare(
                download_config=download_config(manual_dir)
            )
    # Whatever goes wrong with the network, the files or the disk ends here.
    except Exception as problem:
        raise not_prepared(builder, manual_dir, problem) from problem
    num_train = builder.info.splits["train"].num_examples
    num_used = max(1, round(fraction * num_train))
    reads = dict(zip(SPLITS, SPLITS, strict=True))
    reads["train"] = f"train[:{num_used}]"
    return {
        split: builder.as_dataset(split=read).map(
            _flatten(names), num_parallel_calls=tf.data.AUTOTUNE
        )
        for split, read in reads.items()
    }


def _flatten(names: list[str]) -> Callable[[Any], dict[str, Any]]:
    def flatten(example: Any) -> dict[str, Any]:
        labels = example["attributes"]
        return {
            "image": example["image"],
            **{name: tf.cast(labels[name], tf.int32) for name in names},
        }

    return flatten


@functools.cache
def _all_attributes() -> tuple[str, ...]:
    return tuple(tfds.builder("celeb_a").info.features["attributes"])
