"""Aligned-MTL: the rows' principal components, all made equally long."""

from typing import Any

from keras import ops

from keras_selfaux._checks import check_choice
from keras_selfaux._linalg import spectrum
from keras_selfaux._registry import register
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import Coefficients, GramianAggregator


@register
class AlignedMTL(GramianAggregator):
    """Replaces the rows by the nearest orthogonal ones, and sums them.

    The rows' singular values are all set to one value: neither conflicts
    nor dominance are left. With the smallest as that value, as by default,
    the update is short where rows are almost parallel.

    Reference: Senushkin, Patakin, Kuznetsov, Konushin, *Independent
    Component Alignment for Multi-Task Learning*, 2023 (arXiv 2305.19000),
    Algorithm 1.

    Args:
        scale_mode: What the singular values become: their `"min"`,
            `"median"` or `"rmse"` (root of the mean square); those that are
            0 do not count. Defaults to `"min"`.
        **kwargs: `rows`; see `Aggregator`.

    Raises:
        ValueError: If `scale_mode` is not known.

    Example:

    >>> aggregator = keras_selfaux.aggregators.AlignedMTL()
    >>> aggregator.weights([[1.0, 0.0], [0.0, 4.0]])
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1. , 0.5], ...)>
    """

    def __init__(self, scale_mode: str = "min", **kwargs: Any) -> None:
        kwargs.setdefault("name", "aligned_mtl")
        super().__init__(**kwargs)
        check_choice("scale_mode", scale_mode, ("min", "median", "rmse"))
        self.scale_mode = scale_mode

    def solve(self, gramian: Tensor, present: Tensor) -> Coefficients:
        """Returns the coefficients of the sum of the aligned rows."""
        values, vectors, kept = spectrum(gramian, present)
        singular = ops.sqrt(ops.where(kept, values, 0.0))
        along = ops.sum(vectors * ops.cast(present, "float32")[:, None], 0)
        along = self._common(singular, kept) * ops.divide_no_nan(
            along, singular
        )
        return Coefficients(ops.sum(vectors * along, axis=1))

    def _common(self, singular: Tensor, kept: Tensor) -> Tensor:
        """Returns what all singular values become."""
        number = ops.sum(ops.cast(kept, "int32"))
        if self.scale_mode == "rmse":
            total = ops.sum(ops.square(singular))
            number = ops.maximum(ops.cast(number, "float32"), 1.0)
            return ops.sqrt(total / number)
        # Those that do not count are 0 and come first.
        ordered = ops.sort(singular)
        first = ops.minimum(singular.shape[0] - number, singular.shape[0] - 1)
        if self.scale_mode == "min":
            return ops.take(ordered, first)
        last = first + ops.maximum(number - 1, 0)
        low, high = (first + last) // 2, (first + last + 1) // 2
        return (ops.take(ordered, low) + ops.take(ordered, high)) / 2

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {**super().get_config(), "scale_mode": self.scale_mode}
