"""Streets of Cityscapes: segmentation, parts of what is there, disparity.

19 classes, 10 classes of parts of people and vehicles, and disparity. The
data must be fetched by hand; without it, the message says from where, and
where to put it. The recipe is the published one: a half-shared, dilated
ResNet-50 with DeepLab heads, SGD, 200 epochs in batches of 4. That needs a
GPU.

  python examples/cityscapes.py --manual_dir=/data
  python examples/cityscapes.py --weights=imagenet --method=stl,mtl,saal_w
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from keras_selfaux.datasets import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_PARTS,
    load_cityscapes,
)

if __package__:
    from examples import _experiment, _image_tasks, _runner
    from examples._problem import TaskSpec
    from examples._published import DeepLabProblem
else:
    import _experiment
    import _image_tasks
    import _runner
    from _problem import TaskSpec
    from _published import DeepLabProblem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cityscapes(DeepLabProblem):
    """The settings of Cityscapes.

    Raises:
        ValueError: If a value is out of its range.
    """

    KINDS: ClassVar[dict[str, str]] = {
        "seg": "classes",
        "part_seg": "classes",
        "disparity": "disparity",
    }

    height: int = _runner.setting(256, "Height of the images, in pixels.")
    width: int = _runner.setting(512, "Width of the images, in pixels.")

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The tasks."""
        parts = len(CITYSCAPES_PARTS)
        return {
            "seg": _image_tasks.segmentation(
                self.head, len(CITYSCAPES_CLASSES)
            ),
            "part_seg": _image_tasks.segmentation(self.head, parts),
            "disparity": _image_tasks.distance(self.head, "disparity"),
        }

    def load_examples(self) -> Mapping[str, tf.data.Dataset]:
        """Returns the examples of all splits."""
        return load_cityscapes(
            self.data_dir, self.manual_dir, height=self.height, width=self.width
        )


Config = _experiment.config_class(
    Cityscapes,
    "cityscapes",
    demo={"epochs": 1, "seeds": (0,), "method": ("mtl",)},
)
run = _experiment.run


if __name__ == "__main__":
    _runner.main(Config, run)
