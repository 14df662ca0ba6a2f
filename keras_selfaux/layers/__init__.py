"""The parts of a branching network.

An encoder maps the inputs to one feature tensor per task: either any Keras
model with a dict output, or a `BranchedEncoder`, which makes one from a
list of template layers and a table of paths. A `HeadBank` turns features
into predictions and holds the clones that self-auxiliaries are.

Equal layers run as one batched product wherever they can.
"""

from keras_selfaux.layers._aspp import ASPP
from keras_selfaux.layers._bilinear_upsampling import BilinearUpsampling
from keras_selfaux.layers._branched_encoder import BranchedEncoder
from keras_selfaux.layers._dilated_convolution import DilatedConv2D
from keras_selfaux.layers._head_bank import HeadBank

__all__ = [
    "ASPP",
    "BilinearUpsampling",
    "BranchedEncoder",
    "DilatedConv2D",
    "HeadBank",
]
