"""Networks for dense prediction, cut into stages that tasks can share.

An architecture is a list of stages for a `layers.BranchedEncoder`, and a
head to go on top of it:

>>> stages = keras_selfaux.architectures.resnet50_stages()
>>> encoder = keras_selfaux.layers.BranchedEncoder(stages, paths="half")
>>> heads = {
...     "seg": keras_selfaux.architectures.deeplab_head(13),
...     "depth": keras_selfaux.architectures.deeplab_head(1),
... }
"""

from keras_selfaux.architectures._deeplab_head import deeplab_head
from keras_selfaux.architectures._resnet50 import resnet50_stages

__all__ = ["deeplab_head", "resnet50_stages"]
