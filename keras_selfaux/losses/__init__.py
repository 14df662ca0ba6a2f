"""Losses that leave missing labels out.

A label is missing where it is NaN, where its sample weight is 0, or where
the loss itself ignores it (`ignore_class`). A task's loss is the mean over
the labels present in the global batch; without any it is 0, and so is its
gradient.

The usual losses of dense prediction, for labels of one value per pixel:

- segmentation, where 255 marks pixels without a class:
  `keras.losses.SparseCategoricalCrossentropy(from_logits=True,
  ignore_class=255)`;
- depth, NaN where there is none: `"mae"`;
- surface normals, NaN where there are none: `CosineDistance()`.
"""

from keras_selfaux.losses._cosine_distance import CosineDistance
from keras_selfaux.losses._masked import MaskedLoss, masked_loss
from keras_selfaux.losses._resolve import loss_for_task

__all__ = ["CosineDistance", "MaskedLoss", "loss_for_task", "masked_loss"]
