"""Callbacks that watch a model with several tasks."""

from keras_selfaux.callbacks._backup_and_restore import BackupAndRestore
from keras_selfaux.callbacks._collapsed_weights import CollapsedWeights
from keras_selfaux.callbacks._finite_losses import FiniteLosses
from keras_selfaux.callbacks._lookahead_affinity import LookaheadAffinity

__all__ = [
    "BackupAndRestore",
    "CollapsedWeights",
    "FiniteLosses",
    "LookaheadAffinity",
]
