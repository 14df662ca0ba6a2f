"""Losses that leave missing labels out.

A label is missing where it is NaN, where its sample weight is 0, or where
the loss itself ignores it (`ignore_class`). A task's loss is the mean over
the labels present in the global batch; without any it is 0, and so is its
gradient.
"""

from keras_selfaux.losses._masked import MaskedLoss, masked_loss
from keras_selfaux.losses._resolve import loss_for_task

__all__ = ["MaskedLoss", "loss_for_task", "masked_loss"]
