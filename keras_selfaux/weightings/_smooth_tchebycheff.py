"""STCH: a smooth maximum of the losses is minimised."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive, error
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Task, Tensor
from keras_selfaux.weightings._base import Weighting
from keras_selfaux.weightings._present import count, softmax
from keras_selfaux.weightings._task_numbers import (
    TaskNumbers,
    checked,
    of_units,
)


@register
class SmoothTchebycheff(Weighting):
    """Minimises a smooth maximum of the losses: the worst counts most.

    The maximum is `mu log(sum(exp(p (l - z) / mu)))` over all losses l,
    with ideal values z and preferences p; the weights are its derivatives,
    scaled to sum to the number K of losses. The smaller `mu`, the more
    of it goes to the task furthest from its ideal. Choose it to have no
    task fall behind, or to steer between tasks by preferences. Losses
    should have comparable scales. Weights lie between 0 and K.

    Reference: Lin, Zhang, Yang, Liu, Wang, Zhang, *Smooth Tchebycheff
    Scalarization for Multi-Objective Optimization*, 2024 (arXiv
    2402.19078); with weights that sum to K.

    Args:
        mu: How smooth the maximum is. Defaults to 1.
        ideal: The value each loss should reach: a number, or `{task:
            number}`, with 0 for tasks left out. Defaults to 0.
        preferences: `{task: preference}`, how much each loss counts, with 1
            for tasks left out. Defaults to 1 for all.
        **kwargs: `by` and `normalize`; see `Weighting`.

    Raises:
        ValueError: If `mu` or a preference is not positive, `ideal` is no
            number, or a task is named that the model does not have.

    Example:

    >>> weighting = keras_selfaux.weightings.SmoothTchebycheff(
    ...     mu=0.1, preferences={"seg": 2.0}
    ... )
    """

    is_momentary = True

    def __init__(
        self,
        mu: float = 1.0,
        ideal: TaskNumbers = 0.0,
        preferences: Mapping[Task, float] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "smooth_tchebycheff")
        super().__init__(**kwargs)
        check_positive("mu", mu)
        self.mu = mu
        self._ideal = checked("ideal", ideal)
        self._preferences = _checked_preferences(preferences)
        self._ideals: list[float] = []
        self._factors: list[float] = []

    def build_state(self, units: Sequence[Edge]) -> None:
        """Looks up the ideal and the preference of each loss."""
        self._ideals = of_units("ideal", self._ideal, units, default=0.0)
        self._factors = of_units(
            "preferences", self._preferences or {}, units, default=1.0
        )

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the derivatives of the smooth maximum, scaled to sum to K."""
        factors = ops.convert_to_tensor(self._factors, dtype="float32")
        ideals = ops.convert_to_tensor(self._ideals, dtype="float32")
        logits = factors * (losses - ideals) / self.mu
        # Infinity less itself would be NaN.
        logits = ops.clip(logits, -1e30, 1e30)
        return count(present) * softmax(logits + ops.log(factors), present)

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        return {
            **super().get_config(),
            "mu": self.mu,
            "ideal": self._ideal,
            "preferences": self._preferences,
        }


def _checked_preferences(preferences: Any) -> dict[Task, float] | None:
    if preferences is None:
        return None
    if not isinstance(preferences, Mapping):
        raise error(
            "`preferences` must be a dict of numbers by task.",
            received=f"preferences={preferences!r}",
            remedy="Pass {task: preference}, or leave it out.",
        )
    for task, preference in preferences.items():
        check_positive(f"preferences[{task!r}]", preference)
    return dict(preferences)
