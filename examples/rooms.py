"""Rooms that need no download: segmentation, depth and normals at once.

The images are rendered on first use: a camera in furnished rooms, with what
every pixel shows, how far away it is, and which way its surface faces. Prints
the test scores of every task, writes them with the settings to results.json,
draws predictions beside the truth, and exports the best model, without
clones, as the next version. Curves and pictures are there for TensorBoard:

  python examples/rooms.py
  tensorboard --logdir results/rooms/tensorboard
  python examples/rooms.py --method=stl,mtl,saal_e,saal_w --seeds=0,1,2
"""

import dataclasses
import os
from typing import ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_selfaux import datasets
from keras_selfaux.architectures import compact_stages, pixel_head
from keras_selfaux.datasets import pipeline

if __package__:
    from examples import _experiment, _image_tasks, _runner
    from examples._image_data import ImageData
    from examples._problem import Problem, TaskSpec
else:
    import _experiment
    import _image_tasks
    import _runner
    from _image_data import ImageData
    from _problem import Problem, TaskSpec

SIZES = tuple(config.name for config in datasets.Rooms.BUILDER_CONFIGS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rooms(Problem):
    """The settings of rendered rooms.

    Raises:
        ValueError: If a value is out of its range.
    """

    KINDS: ClassVar[dict[str, str]] = {
        "seg": "classes",
        "depth": "depth",
        "normal": "normals",
    }

    size: str = _runner.setting(
        "48x64", "Height and width of the images, in pixels.", SIZES
    )
    epochs: int = _runner.setting(12, "Epochs of training.")
    batch_size: int = _runner.setting(8, "Images per step.")
    learning_rate: float = _runner.setting(
        1e-2, "The learning rate of Adam that training starts at."
    )
    jit_compile: bool = _runner.setting(
        False, "Whether to compile the training step with XLA."
    )
    augment: bool = _runner.setting(
        True, "Whether to flip training images at random."
    )

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The tasks."""
        return {
            "seg": _image_tasks.segmentation(
                pixel_head, len(datasets.ROOM_CLASSES)
            ),
            "depth": _image_tasks.distance(pixel_head),
            "normal": _image_tasks.normals(pixel_head),
        }

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """A batch of images."""
        height, width = map(int, self.size.split("x"))
        return (None, height, width, 3)

    def load_data(self) -> ImageData:
        """Returns the images, which are rendered on first use."""
        examples = datasets.load_rooms(self.size, data_dir=self.data_dir)
        # A camera knows its focal length: what is enlarged is not as if it
        # had been nearer, which makes published augmentation an approximation
        # that such small images gain nothing from.
        flips = pipeline.Augmentation(scales=(1.0,))
        return ImageData(
            examples,
            self.KINDS,
            self.batch_size,
            flips if self.augment else None,
        )

    def stages(self) -> list[keras.layers.Layer]:
        """Returns a small convolutional network."""
        return compact_stages()

    def optimizer(self, num_steps: int) -> keras.optimizers.Optimizer:
        """Returns Adam with a learning rate that falls along a cosine."""
        schedule = keras.optimizers.schedules.CosineDecay(
            self.learning_rate, num_steps
        )
        return keras.optimizers.Adam(schedule)


Config = _experiment.config_class(
    Rooms,
    "rooms",
    demo={"epochs": 3},
    seeds=(0,),
    method=("mtl", "saal_w"),
)
run = _experiment.run


if __name__ == "__main__":
    _runner.main(Config, run)
