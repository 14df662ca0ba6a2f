"""Numbers that judge a multi-task model.

`delta_m` is the one figure by which multi-task methods are compared: the mean
relative change against single-task networks, in percent, higher is better.
`task_changes` is the same figure before the mean over tasks.

>>> baselines = {"seg": {"miou": 0.40}, "depth": {"error": 0.20}}
>>> results = {"seg": {"miou": 0.44}, "depth": {"error": 0.19}}
>>> round(delta_m(results, baselines, higher_is_better={"miou": True}), 6)
7.5

Predictions for every pixel are judged over all labelled pixels of a data
set. Keras's `SparseCategoricalAccuracy`, `MeanAbsoluteError` and
`RootMeanSquaredError` do so in a `SelfAuxModel`, where missing labels have
no weight; `MeanIoU`, `MeanRelativeError`, `MeanAngle`, `MedianAngle` and
`WithinAngle` add what Keras lacks:

>>> metrics = {
...     "seg": ["accuracy", MeanIoU(13)],
...     "depth": ["mae", MeanRelativeError()],
...     "normal": [MeanAngle(), MedianAngle(), WithinAngle(11.25)],
... }
"""

from keras_selfaux.metrics._compiled import CompiledMetrics
from keras_selfaux.metrics._delta_m import delta_m, task_changes
from keras_selfaux.metrics._loss_tracker import LossTracker
from keras_selfaux.metrics._mean_angle import MeanAngle
from keras_selfaux.metrics._mean_iou import MeanIoU
from keras_selfaux.metrics._mean_relative_error import MeanRelativeError
from keras_selfaux.metrics._median_angle import MedianAngle
from keras_selfaux.metrics._samples import Samples, stack_weights
from keras_selfaux.metrics._stacked_mean import StackedMean
from keras_selfaux.metrics._within_angle import WithinAngle

__all__ = [
    "CompiledMetrics",
    "LossTracker",
    "MeanAngle",
    "MeanIoU",
    "MeanRelativeError",
    "MedianAngle",
    "Samples",
    "StackedMean",
    "WithinAngle",
    "delta_m",
    "stack_weights",
    "task_changes",
]
