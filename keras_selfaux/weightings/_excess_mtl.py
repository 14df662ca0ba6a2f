"""ExcessMTL: weights follow how far each task is from convergence."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Observation
from keras_selfaux.weightings._present import count, softmax
from keras_selfaux.weightings._row_weights import RowWeights

_EPSILON = 1e-7
# Squares of the first, and sums of those, stay within float32.
_LARGEST_ENTRY = 1e17
_LARGEST_SUM = 1e38


@register
class ExcessMTL(RowWeights):
    """Gives more weight to tasks that are far from convergence.

    How far is estimated from a task's gradient alone: its squared length in
    a metric that has adapted to all gradients so far, relative to its first
    value. Unlike a loss, this excess risk is small for a task that cannot
    be learned better, so that noisy labels draw no weight. Weights are
    multiplied by `exp(step_size * excess)` at every step and sum to the
    number of tasks; they are at least 1e-3. Choose it where some tasks
    have noisy labels. It costs one gradient per task and, for the metric,
    memory for as many more. Entries of gradients beyond 1e17 count as 1e17.

    Reference: He, Zhou, Zhang, Yun, Xu, Zeng, Chilimbi, Zhao, *Robust
    Multi-Task Learning with Excess Risks*, 2024 (arXiv 2402.02009); with
    weights that sum to the number of tasks.

    Args:
        step_size: How fast the weights change. Defaults to 0.01.
        **kwargs: `name`. There is one weight per task: `by` and `normalize`
            cannot be changed.

    Raises:
        ValueError: If `step_size` is not positive, or `by` or `normalize`
            is changed.

    Example:

    >>> model.compile("adam", loss="mse", weighting="excess_mtl")
    """

    keeps_rows = True

    def __init__(self, step_size: float = 0.01, **kwargs: Any) -> None:
        kwargs.setdefault("name", "excess_mtl")
        super().__init__(**kwargs)
        check_positive("step_size", step_size)
        self.step_size = step_size
        self.squares: list[Any] = []

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates the weights and the first excess risks."""
        super().build_state(units)
        # 0 until a gradient has been seen.
        self.first = self.add_state("first", (len(units),))

    def build_rows(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Creates the sums of squared gradients."""
        self.squares = [
            self.add_state(f"squares_{number}", shape)
            for number, shape in enumerate(shapes)
        ]

    def proposed(
        self, observation: Observation, rows: Rows, present: Tensor
    ) -> Tensor:
        """Multiplies the weights by the exponential of the excess risks."""
        excess: Tensor = ops.zeros((len(self.units),))
        for squares, tensor in zip(self.squares, rows.tensors, strict=True):
            excess = excess + _excess(
                squares, tensor, observation.weights, present
            )
        first = ops.convert_to_tensor(self.first)
        first = ops.where(first > 0, first, excess)
        self.first.assign(first)
        relative = ops.minimum(ops.divide_no_nan(excess, first), 1e6)
        logits = ops.log(ops.convert_to_tensor(self.raw))
        logits = logits + self.step_size * relative
        return count(present) * softmax(logits, present)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the learned weights."""
        return {**super().get_config(), "step_size": self.step_size}


def _excess(
    squares: Any, tensor: Tensor, weights: Tensor, present: Tensor
) -> Tensor:
    """Returns what a variable adds to each excess risk, shape `(K,)`.

    Args:
        squares: The variable's sums of squared gradients, which are updated:
            shape `(K, ...)`.
        tensor: Its part of the rows, of the same shape.
        weights: Tensor of shape `(K,)`: what the rows have been weighted by.
        present: Tensor of shape `(K,)`, bool; the others get 0.
    """
    shape = (-1,) + (1,) * (len(tensor.shape) - 1)
    gradient = tensor / ops.reshape(weights, shape)
    gradient = ops.clip(gradient, -_LARGEST_ENTRY, _LARGEST_ENTRY)
    gradient = ops.where(ops.reshape(present, shape), gradient, 0.0)
    square = ops.square(gradient)
    total = ops.minimum(squares + square, _LARGEST_SUM)
    squares.assign(total)
    terms = square * ops.rsqrt(total + _EPSILON)
    return ops.sum(ops.reshape(terms, (tensor.shape[0], -1)), axis=1)
