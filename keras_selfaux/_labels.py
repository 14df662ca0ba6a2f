"""`SingleTaskLabels`: the labels of samples that belong to one task each."""

from typing import NamedTuple

from keras_selfaux._types import Tensor


class SingleTaskLabels(NamedTuple):
    """Labels `y` of samples that each belong to a single task.

    This is the short form of a dict `{task: labels}` in which all but one
    task's labels of every sample are missing, for tasks whose labels are of
    one shape. With many tasks it is far smaller, and a model whose heads
    are equal then computes only the clones that have a label.

    Attributes:
        labels: Shape `(batch, ...)`: every sample's label.
        task: Integers of shape `(batch,)`: the number of every sample's
            task, counted from 0 in the order of the model's heads. Any
            other number means that the sample's label is missing.

    Example:

    >>> y = keras_selfaux.SingleTaskLabels(
    ...     labels=np.array([[0.5], [2.0], [1.5]]), task=np.array([0, 2, 1])
    ... )
    >>> model.fit(x, y)
    """

    labels: Tensor
    task: Tensor
