"""Finding out which task should teach which.

`enumerate_transfer` trains every task alone and with every other one, and
returns `TransferGains`, of which `graph()` makes the self-auxiliaries that
help. It is thorough; `callbacks.LookaheadAffinity` is an estimate from a single
training run.

>>> gains = keras_selfaux.discovery.enumerate_transfer(
...     build_model, tasks, train_data, validation_data, epochs=100
... )
>>> model = keras_selfaux.SelfAuxModel(encoder, heads, gains.graph())
"""

from keras_selfaux.discovery._enumerate import enumerate_transfer
from keras_selfaux.discovery._gains import Run, TransferGains
from keras_selfaux.discovery._hyper_model import SelfAuxHyperModel

__all__ = ["Run", "SelfAuxHyperModel", "TransferGains", "enumerate_transfer"]
