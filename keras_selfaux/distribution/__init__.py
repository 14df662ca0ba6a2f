"""Where training runs: one device, several, or several machines.

What the package needs of `tf.distribute` is here, in one place.
"""

from keras_selfaux.distribution._agreement import mean_over_workers
from keras_selfaux.distribution._chief import is_chief
from keras_selfaux.distribution._lost_worker import (
    LostWorkerError,
    is_multi_worker,
    naming_lost_workers,
)
from keras_selfaux.distribution._replicas import (
    check_compilation,
    check_outside_of_scope,
    num_replicas,
    replica_mean,
    replica_sum,
)
from keras_selfaux.distribution._saved_by_chief import SavedByChief
from keras_selfaux.distribution._scope import check_created_in_scope
from keras_selfaux.distribution._strategy import make_strategy

__all__ = [
    "LostWorkerError",
    "SavedByChief",
    "check_compilation",
    "check_created_in_scope",
    "check_outside_of_scope",
    "is_chief",
    "is_multi_worker",
    "make_strategy",
    "mean_over_workers",
    "naming_lost_workers",
    "num_replicas",
    "replica_mean",
    "replica_sum",
]
