"""Attributes of faces in CelebA: nine tasks, or forty, or any in between.

TensorFlow Datasets downloads the data; if that fails, the message says what
to fetch by hand. The recipe is the published one: a half-shared ResNet-18, a
tenth of the data, SGD, 25 epochs in batches of 512.

  python examples/celeb_a.py
  python examples/celeb_a.py --attributes=all --fraction=1
  python examples/celeb_a.py --attributes=Smiling,Male --method=stl,mtl,saal_w
"""

import dataclasses
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from keras_selfaux.architectures import resnet18_stages
from keras_selfaux.datasets import (
    CELEB_A_ATTRIBUTES,
    celeb_a_attributes,
    load_celeb_a,
    pipeline,
)

if __package__:
    from examples import _experiment, _image_tasks, _published, _runner
    from examples._image_data import ImageData
    from examples._problem import TaskSpec
else:
    import _experiment
    import _image_tasks
    import _published
    import _runner
    from _image_data import ImageData
    from _problem import TaskSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class CelebA(_published.ImageProblem):
    """The settings of CelebA.

    Raises:
        ValueError: If a value is out of its range, or an attribute unknown.
    """

    attributes: tuple[str, ...] = _runner.setting(
        CELEB_A_ATTRIBUTES, "Attributes, separated by commas, or all."
    )
    fraction: float = _runner.setting(
        0.1, "How much of the training data to take, above 0 and up to 1."
    )
    size: int = _runner.setting(
        64, "Height and width that images are resized to, in pixels."
    )
    epochs: int = _runner.setting(25, "Epochs of training.")
    batch_size: int = _runner.setting(512, "Images per step.")
    augment: bool = _runner.setting(
        True, "Whether to flip training images at random."
    )
    blocks: tuple[int, ...] = _runner.setting(
        (2, 2, 2, 2), "Residual blocks in each of the four groups."
    )
    filters: int = _runner.setting(
        64, "Channels of the network's first layer; others go with it."
    )
    manual_dir: str | None = _runner.setting(None, _published.MANUAL_DIR_HELP)

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        celeb_a_attributes(self._attributes)  # raises if one is unknown
        if not 0 < self.fraction <= 1 or self.size < 1:
            raise _runner.error(
                "`fraction` must be above 0 and at most 1, `size` positive.",
                received=f"fraction={self.fraction!r}, size={self.size!r}",
                remedy="Pass numbers in these ranges.",
            )

    @property
    def _attributes(self) -> Any:
        return "all" if self.attributes == ("all",) else self.attributes

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The attributes."""
        names = celeb_a_attributes(self._attributes)
        return {name: _image_tasks.attribute() for name in names}

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """A batch of images."""
        return (None, self.size, self.size, 3)

    def load_data(self) -> ImageData:
        """Returns the data, which are downloaded on first use."""
        examples = load_celeb_a(
            self._attributes, self.fraction, self.data_dir, self.manual_dir
        )
        size = (self.size, self.size)

        def resize(example: dict[str, Any]) -> dict[str, Any]:
            image = tf.image.resize(example["image"], size, antialias=True)
            return {**example, "image": tf.cast(tf.round(image), tf.uint8)}

        return ImageData(
            {
                split: dataset.map(resize, tf.data.AUTOTUNE)
                for split, dataset in examples.items()
            },
            dict.fromkeys(self.tasks, "attribute"),
            self.batch_size,
            pipeline.Augmentation(scales=(1.0,)) if self.augment else None,
        )

    def stages(self) -> list[keras.layers.Layer]:
        """Returns ResNet-18 in five stages."""
        return resnet18_stages(blocks=self.blocks, filters=self.filters)


Config = _experiment.config_class(
    CelebA,
    "celeb_a",
    demo={"epochs": 1, "seeds": (0,), "method": ("mtl",)},
)
run = _experiment.run


if __name__ == "__main__":
    _runner.main(Config, run)
