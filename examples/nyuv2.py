"""Indoor scenes of NYUv2: segmentation in 13 classes, depth and normals.

The widely used preprocessed folder must be fetched by hand; without it, the
message says from where, and where to put it. The recipe is the published
one: a half-shared, dilated ResNet-50 with DeepLab heads, SGD, 200 epochs in
batches of 4. That needs a GPU.

  python examples/nyuv2.py --manual_dir=/data
  python examples/nyuv2.py --weights=imagenet --method=stl,mtl,saal_w
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from keras_selfaux.datasets import NYUV2_CLASSES, load_nyuv2

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
class NYUv2(DeepLabProblem):
    """The settings of NYUv2.

    Raises:
        ValueError: If a value is out of its range.
    """

    KINDS: ClassVar[dict[str, str]] = {
        "seg": "classes",
        "depth": "depth",
        "normal": "normals",
    }

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The tasks."""
        return {
            "seg": _image_tasks.segmentation(self.head, len(NYUV2_CLASSES)),
            "depth": _image_tasks.distance(self.head),
            "normal": _image_tasks.normals(self.head),
        }

    def load_examples(self) -> Mapping[str, tf.data.Dataset]:
        """Returns the examples of all splits."""
        return load_nyuv2(
            self.data_dir, self.manual_dir, height=self.height, width=self.width
        )


Config = _experiment.config_class(
    NYUv2,
    "nyuv2",
    demo={"epochs": 1, "seeds": (0,), "method": ("mtl",)},
)
run = _experiment.run


if __name__ == "__main__":
    _runner.main(Config, run)
