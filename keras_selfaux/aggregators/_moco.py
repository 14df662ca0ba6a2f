"""MoCo: MGDA on averages over steps, with weights that move slowly."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive, check_within
from keras_selfaux._linalg import project_to_simplex
from keras_selfaux._registry import register
from keras_selfaux._rows import Rows, combined, gramian, scale_of
from keras_selfaux._types import Tensor
from keras_selfaux.aggregators._base import count, nan_unless_finite
from keras_selfaux.aggregators._tracking import TrackingAggregator
from keras_selfaux.aggregators._unit_rows import applied


@register
class MoCo(TrackingAggregator):
    """Follows `MGDA` without the bias that noisy gradients bring.

    The best weights for the gradients of one batch are not the best ones
    in expectation. So the rows Y are averaged over steps, and the weights
    λ on the simplex take one small step per batch towards the shortest
    combination of the averages. For small batches, where `MGDA`'s weights
    jump.

    Reference: Fernando, Shen, Liu, Chaudhury, Murugesan, Chen, *Mitigating
    Gradient Bias in Multi-objective Learning: A Provably Convergent
    Stochastic Approach*, 2022 (arXiv 2210.12624), Algorithm 1; times the
    number K of tasks, with averages of what was seen alone, where the
    authors' start from 0. Y Yᵀ is divided by the mean of its diagonal, so
    that `gamma` does not depend on the losses' units.

    Args:
        beta: The weight of the newest row in the averages, in (0, 1].
            Defaults to `0.5`.
        gamma: The step size of the weights, a positive number. Defaults to
            `0.1`.
        sigma: At the k-th step `beta` and `gamma` are divided by k^sigma.
            Zero or a positive number. Defaults to `0.5`.
        rho: What is added to the diagonal of Y Yᵀ, relative to its mean:
            draws the weights together. Zero or a positive number. Defaults
            to `0.0`.
        **kwargs: See `Aggregator`.

    Raises:
        ValueError: If an argument is not in range.

    Example:

    >>> aggregator = keras_selfaux.aggregators.MoCo(gamma=0.01)
    >>> model.compile("adam", loss="mse", aggregator=aggregator)
    """

    def __init__(
        self,
        beta: float = 0.5,
        gamma: float = 0.1,
        sigma: float = 0.5,
        rho: float = 0.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "moco")
        super().__init__(**kwargs)
        check_within("beta", beta, "(0, 1]")
        check_positive("gamma", gamma)
        check_positive("sigma", sigma, zero=True)
        check_positive("rho", rho, zero=True)
        self.beta = beta
        self.gamma = gamma
        self.sigma = sigma
        self.rho = rho

    def build_state(self, num_rows: int) -> None:
        """Creates the weights on the simplex and their number of steps."""
        self.task_weights = self.add_state(
            "task_weights", (num_rows,), 1 / num_rows
        )
        self.updates = self.add_state("updates", ())

    def call(self, rows: Rows) -> list[Tensor]:
        """Returns K times the weighted mean of the averages."""
        present, factor = rows.present, nan_unless_finite(rows)
        moving = ops.logical_and(present, ops.isfinite(factor))
        averages = self.track(
            rows.tensors,
            moving,
            lambda step: self.beta * ops.power(step, -self.sigma),
        )
        weights = self._step(averages, present, moving)
        return combined(averages, factor * count(present) * weights)

    def _step(
        self, averages: Sequence[Tensor], present: Tensor, moving: Tensor
    ) -> Tensor:
        """Moves the weights of the rows that are present; returns them.

        They keep what share of the simplex they have together: rows left
        out keep theirs for when they are back.
        """
        ones = ops.cast(present, "float32")
        together = ops.sum(ones * self.task_weights)
        weights = ops.where(
            together > 0,
            ops.divide_no_nan(ones * self.task_weights, together),
            ones / count(present),
        )
        number = self.updates + ops.cast(ops.any(moving), "float32")
        gamma = self.gamma * ops.power(ops.maximum(number, 1.0), -self.sigma)
        pull = applied(self._curvature(averages, present), weights)
        moved = project_to_simplex(weights - gamma * pull, present)
        is_finite = ops.all(ops.isfinite(moved))
        kept = ops.logical_and(moving, is_finite)
        self.task_weights.assign(
            ops.where(kept, together * moved, self.task_weights)
        )
        self.updates.assign(number)
        return moved

    def _curvature(self, averages: Sequence[Tensor], present: Tensor) -> Tensor:
        """Returns Y Yᵀ, divided by the mean of its diagonal, plus ρ I."""
        ones = ops.cast(present, "float32")
        products = gramian(averages, scale_of(averages))
        products = products * ones * ones[:, None]
        mean = ops.sum(ops.diagonal(products)) / count(present)
        return ops.divide_no_nan(products, mean) + self.rho * ops.diag(ones)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without averages and weights."""
        return {
            **super().get_config(),
            "beta": self.beta,
            "gamma": self.gamma,
            "sigma": self.sigma,
            "rho": self.rho,
        }
