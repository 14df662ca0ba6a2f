"""Fixed weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras import ops

from keras_selfaux._checks import check_positive, error
from keras_selfaux._registry import register
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.weightings._base import Weighting


@register
class Static(Weighting):
    """Gives each loss a fixed weight.

    Args:
        weights: `{key: weight}` with weights of at least 0. A key is an
            edge `(source, target)`, a primary `(task, task)`, or a task,
            which stands for every loss on that task's labels, clones
            included. An edge's own key counts before its task's. Losses
            without a key get 1.
        **kwargs: `normalize`; see `Weighting`.

    Raises:
        ValueError: If a weight is negative, or if a key names no edge of
            the model's graph.

    Example:

    >>> weighting = keras_selfaux.weightings.Static(
    ...     {"seg": 2.0, ("seg", "depth"): 0.5}
    ... )
    """

    default_by = "edge"

    def __init__(
        self,
        weights: Mapping[Any, float] | Iterable[Sequence[Any]],
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "static")
        super().__init__(**kwargs)
        self._given = _by_key(weights)
        for key, weight in self._given.items():
            check_positive(f"weights[{key!r}]", weight, zero=True)
        self._values: list[float] = []

    def build_state(self, units: Sequence[Edge]) -> None:
        """Looks up the weight of each edge."""
        tasks = {source for source, _ in units}
        unknown = [k for k in self._given if k not in tasks and k not in units]
        if unknown:
            raise error(
                "`weights` of `Static` names losses that the model does not "
                "have.",
                received=f"{unknown}",
                remedy=f"Use tasks, {sorted(tasks)}, or edges of the "
                "model's transfer graph.",
            )
        self._values = [
            float(self._given.get(edge, self._given.get(edge[0], 1.0)))
            for edge in units
        ]

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the fixed weights."""
        return ops.convert_to_tensor(self._values, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the config."""
        pairs = [
            [list(key) if isinstance(key, tuple) else key, weight]
            for key, weight in self._given.items()
        ]
        return {**super().get_config(), "weights": pairs}


def _by_key(weights: Any) -> dict[Any, Any]:
    """Returns the weights by task and edge.

    Raises:
        ValueError: If there is anything else among them.
    """
    # Configs are JSON, which knows no tuples as keys: a list of pairs.
    pairs = weights.items() if isinstance(weights, Mapping) else weights
    try:
        return {_key(key): weight for key, weight in pairs}
    except (TypeError, ValueError) as problem:
        raise error(
            "`weights` of `Static` must be a dict by task, (source, target) "
            "or both.",
            received=f"weights={weights!r:.200}",
            remedy='Pass, say, {"seg": 2.0, ("seg", "depth"): 0.5}.',
        ) from problem


def _key(key: Any) -> Any:
    if isinstance(key, str):
        return key
    names = tuple(key)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key!r} are no names")
    return names
