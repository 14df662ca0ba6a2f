"""Numbers that judge a multi-task model.

`delta_m` is the one figure by which multi-task methods are compared: the mean
relative change against single-task networks, in percent, higher is better.
`task_changes` is the same figure before the mean over tasks.

>>> baselines = {"seg": {"miou": 0.40}, "depth": {"error": 0.20}}
>>> results = {"seg": {"miou": 0.44}, "depth": {"error": 0.19}}
>>> round(delta_m(results, baselines, higher_is_better={"miou": True}), 6)
7.5
"""

from keras_selfaux.metrics._compiled import CompiledMetrics
from keras_selfaux.metrics._delta_m import delta_m, task_changes
from keras_selfaux.metrics._loss_tracker import LossTracker
from keras_selfaux.metrics._samples import Samples, stack_weights
from keras_selfaux.metrics._stacked_mean import StackedMean

__all__ = [
    "CompiledMetrics",
    "LossTracker",
    "Samples",
    "StackedMean",
    "delta_m",
    "stack_weights",
    "task_changes",
]
