"""Networks cut into stages that tasks can share, and heads to go on them.

An architecture is a list of stages for a `layers.BranchedEncoder`, and a
head to go on top of it. For predictions at every pixel:

>>> stages = keras_selfaux.architectures.resnet50_stages()
>>> encoder = keras_selfaux.layers.BranchedEncoder(stages, paths="half")
>>> heads = {
...     "seg": keras_selfaux.architectures.deeplab_head(13),
...     "depth": keras_selfaux.architectures.deeplab_head(1),
... }

and, small enough to be trained on a CPU:

>>> stages = keras_selfaux.architectures.compact_stages()
>>> encoder = keras_selfaux.layers.BranchedEncoder(stages, paths="half")
>>> heads = {
...     "seg": keras_selfaux.architectures.pixel_head(13),
...     "depth": keras_selfaux.architectures.pixel_head(1),
... }

For a few numbers per image there are `resnet18_stages` with
`attribute_head`, and for inputs that are no images `mlp_stages`.
"""

from keras_selfaux.architectures._attribute_head import attribute_head
from keras_selfaux.architectures._compact import compact_stages
from keras_selfaux.architectures._deeplab_head import deeplab_head
from keras_selfaux.architectures._mlp import mlp_stages
from keras_selfaux.architectures._pixel_head import pixel_head
from keras_selfaux.architectures._resnet18 import resnet18_stages
from keras_selfaux.architectures._resnet50 import resnet50_stages

__all__ = [
    "attribute_head",
    "compact_stages",
    "deeplab_head",
    "mlp_stages",
    "pixel_head",
    "resnet18_stages",
    "resnet50_stages",
]
