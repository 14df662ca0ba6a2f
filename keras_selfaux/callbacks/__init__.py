"""Callbacks that watch a model with several tasks."""

from keras_selfaux.callbacks._finite_losses import FiniteLosses

__all__ = ["FiniteLosses"]
