"""`MeanRelativeError`: labels that nothing can be a fraction of."""

import numpy as np

from keras_selfaux.metrics import MeanRelativeError


def test_depths_of_zero_are_missing() -> None:
    metric = MeanRelativeError()
    # Labels may lack the last axis of the predictions.
    metric.update_state(np.array([0.0, 2.0]), np.array([[1.0], [3.0]]))
    assert float(metric.result()) == 0.5
