"""The nearest point of the simplex."""

from keras import ops

from keras_selfaux._types import Tensor


def project_to_simplex(values: Tensor, present: Tensor) -> Tensor:
    """Returns the nearest point of the simplex `{w >= 0, sum w = 1}`.

    It is `max(values - t, 0)` for the t that makes it sum to 1. In descending
    order, `t = (sum of the first n values - 1) / n` for the largest n whose
    n-th value exceeds it.

    Args:
        values: `(K,)`.
        present: bool, `(K,)`. The simplex has no other entries.

    Returns:
        float32, `(K,)`; 0 where absent. NaN if any present value is not
        finite.
    """
    present = ops.cast(present, "bool")
    values = ops.cast(values, "float64")
    zeros = ops.zeros_like(values)
    values = ops.where(present, values, zeros)
    is_finite = ops.all(ops.isfinite(values))
    # Nothing changes when all values move by the same; this saves digits.
    highest = ops.max(ops.where(present, values, zeros - float("inf")))
    values = ops.where(present, values - highest, zeros - 2)
    descending = -ops.sort(-values)
    count = ops.cast(ops.arange(1, values.shape[0] + 1), "float64")
    thresholds = (ops.cumsum(descending) - 1) / count
    # The threshold is at least -1, at which absent values (-2) do not count.
    threshold = ops.max(ops.where(descending > -2, thresholds, zeros - 1))
    weights = ops.maximum(values - threshold, 0.0)
    weights = ops.where(is_finite, weights, zeros + float("nan"))
    return ops.cast(ops.where(present, weights, zeros), "float32")
