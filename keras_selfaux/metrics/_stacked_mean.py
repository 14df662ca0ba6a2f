"""`StackedMean`: equal mean metrics of several tasks as one metric."""

import keras
from keras import ops

from keras_selfaux._types import Tensor
from keras_selfaux.metrics._mean_kind import MeanKind
from keras_selfaux.metrics._samples import with_rank


class StackedMean(keras.metrics.Metric):
    """Tracks N means of values per sample, computed at once.

    Every mean is that of Keras's metric of this kind: samples count as much
    as their weights, and a sample's value is the mean over its entries.

    Args:
        kind: What the metrics are the means of.
        count: Their number, N.
        name: The name of the metric.
    """

    def __init__(
        self, kind: MeanKind, count: int, name: str = "stacked_mean"
    ) -> None:
        super().__init__(name=name, dtype=kind.dtype)
        self._kind = kind
        self._count = count
        self.totals = self._add("totals")
        self.counts = self._add("counts")

    def _add(self, name: str) -> Tensor:
        return self.add_variable(
            shape=(self._count,),
            initializer="zeros",
            dtype=self.dtype,
            name=name,
        )

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            y_true: Labels of shape `(N, batch, ...)`.
            y_pred: Predictions of shape `(N, batch, ...)`.
            sample_weight: Weights of shape `(N, batch, ...)`. Defaults to 1.
        """
        values = self._kind.function(
            _folded(y_true), _folded(y_pred), **self._kind.settings
        )
        mask = getattr(values, "_keras_mask", None)
        values = self._unfolded(values)
        weights = ops.ones_like(values)
        if sample_weight is not None:
            rank = len(values.shape)
            weights = weights * with_rank(
                ops.cast(sample_weight, self.dtype), rank
            )
            if mask is not None:  # without weights Keras ignores it, too
                weights = weights * with_rank(self._unfolded(mask), rank)
        self.totals.assign_add(_sums(values * weights))
        self.counts.assign_add(_sums(weights))

    def result(self) -> Tensor:
        """Returns the N results, of shape `(N,)`."""
        means = ops.divide_no_nan(self.totals, self.counts)
        return ops.sqrt(means) if self._kind.root else means

    def _unfolded(self, values: Tensor) -> Tensor:
        shape = (self._count, -1, *ops.shape(values)[1:])
        return ops.reshape(ops.cast(values, self.dtype), shape)


def _folded(values: Tensor) -> Tensor:
    return ops.reshape(values, (-1, *ops.shape(values)[2:]))


def _sums(values: Tensor) -> Tensor:
    """Returns sums over samples of means over a sample's entries."""
    axes = tuple(range(2, len(values.shape)))
    return ops.sum(ops.mean(values, axis=axes) if axes else values, axis=1)
