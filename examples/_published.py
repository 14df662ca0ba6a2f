"""The recipe of published comparisons on images, and their network."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import keras
import tensorflow as tf

from keras_selfaux.architectures import deeplab_head, resnet50_stages
from keras_selfaux.datasets import pipeline

if __package__:
    from examples import _runner
    from examples._image_data import ImageData
    from examples._problem import Problem
else:
    import _runner
    from _image_data import ImageData
    from _problem import Problem

MANUAL_DIR_HELP = (
    "Where the data is that was fetched by hand; downloads/manual in the "
    "data's folder if not given. It is read once."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageProblem(Problem, abc.ABC):
    """The settings of runs on images, as published.

    The recipe is SGD with momentum, weight decay, and a learning rate that
    falls along a cosine. PyTorch, which it comes from, sends the weight decay
    through the momentum, so that it counts 1 / (1 - momentum) times; Keras
    does not, and is given that many times as much.
    """

    MOMENTUM: ClassVar[float] = 0.9

    epochs: int = _runner.setting(200, "Epochs of training.")
    batch_size: int = _runner.setting(4, "Images per step.")
    learning_rate: float = _runner.setting(
        0.1, "The learning rate of SGD that training starts at."
    )
    weight_decay: float = _runner.setting(
        1e-4, "The weight decay, as PyTorch counts it."
    )
    jit_compile: bool = _runner.setting(
        False, "Whether to compile the training step with XLA."
    )
    augment: bool = _runner.setting(
        True, "Whether to scale, crop and flip training images at random."
    )

    def optimizer(self, num_steps: int) -> keras.optimizers.Optimizer:
        """Returns SGD with a cosine schedule."""
        schedule = keras.optimizers.schedules.CosineDecay(
            self.learning_rate, num_steps
        )
        return keras.optimizers.SGD(
            schedule,
            momentum=self.MOMENTUM,
            weight_decay=self.weight_decay / (1 - self.MOMENTUM) or None,
        )

    @property
    def augmentation(self) -> pipeline.Augmentation | None:
        """What may happen to training images."""
        return pipeline.Augmentation() if self.augment else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepLabProblem(ImageProblem, abc.ABC):
    """Dense prediction by a dilated ResNet-50 with DeepLab heads."""

    KINDS: ClassVar[dict[str, str]] = {}
    """The labels' kinds, as in `pipeline.batches`."""

    manual_dir: str | None = _runner.setting(None, MANUAL_DIR_HELP)
    height: int = _runner.setting(288, "Height of the images, in pixels.")
    width: int = _runner.setting(384, "Width of the images, in pixels.")
    weights: str | None = _runner.setting(
        None,
        "imagenet, which downloads them, or a file of weights of "
        "keras.applications.ResNet50 without its top. Without, training "
        "starts at random.",
    )
    blocks: tuple[int, ...] = _runner.setting(
        (3, 4, 6, 3), "Residual blocks in each of the four groups."
    )
    filters: int = _runner.setting(
        64, "Channels of the network's first layer; others go with it."
    )
    in_memory: bool = _runner.setting(
        True, "Whether to keep all images in memory."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        if self.height % 8 or self.width % 8:
            raise _runner.error(
                "`height` and `width` must be multiples of 8, by which the "
                "network makes features smaller.",
                received=f"height={self.height!r}, width={self.width!r}",
                remedy="Pass multiples of 8.",
            )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """A batch of images."""
        return (None, self.height, self.width, 3)

    @abc.abstractmethod
    def load_examples(self) -> Mapping[str, tf.data.Dataset]:
        """Returns the examples of all splits, one by one."""

    def load_data(self) -> ImageData:
        """Returns the data, which are read from the given folder once."""
        return ImageData(
            self.load_examples(),
            self.KINDS,
            self.batch_size,
            self.augmentation,
            in_memory=self.in_memory,
        )

    def stages(self) -> list[keras.layers.Layer]:
        """Returns ResNet-50 in five stages, of output stride 8."""
        return resnet50_stages(
            8,
            weights=self.weights,
            blocks=self.blocks,
            filters=self.filters,
            pipeline_images=self.weights is not None,
        )

    def head(self, num_outputs: int) -> keras.layers.Layer:
        """Returns a DeepLab head, four times as wide as the first layer."""
        return deeplab_head(num_outputs, filters=4 * self.filters)
