"""What a hypermodel may choose from, checked and brought into one form."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_selfaux import weightings as weighting_rules
from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._types import Task
from keras_selfaux.discovery._gains import TransferGains
from keras_selfaux.graph import TransferGraph, as_graph

GAINS = "gains"
EACH_EDGE = "each_edge"

# All edges of 5 tasks: about a million graphs. A Gaussian process begins to
# learn after 3 trials per hyperparameter.
_MOST_EDGES = 20

Range = tuple[float, float]


def checked_depths(given: Iterable[int] | None, num_stages: int) -> list[int]:
    """Returns the numbers of stages to share."""
    depths = list(range(num_stages + 1) if given is None else given)
    fits = all(type(n) is int and 0 <= n <= num_stages for n in depths)
    if not fits or not depths or len(set(depths)) < len(depths):
        raise error(
            "`num_shared` must be numbers of stages to share, each once.",
            received=f"num_shared={depths!r} for {num_stages} stages",
            remedy=f"Pass integers from 0 to {num_stages}.",
        )
    return depths


def named_graphs(
    given: Iterable[str] | Mapping[str, Any], tasks: Sequence[Task]
) -> dict[str, TransferGraph]:
    """Returns the graphs to choose from, by name."""
    if isinstance(given, (str, TransferGraph)):
        given = [given]  # one of what should be several
    named = given if isinstance(given, Mapping) else {n: n for n in given}
    for name, auxiliaries in named.items():
        if not isinstance(name, str) or name in (GAINS, EACH_EDGE):
            raise error(
                "`auxiliaries` must be names of choices, or a dict with names "
                f"as keys; {GAINS!r} and {EACH_EDGE!r} have arguments of "
                "their own.",
                received=f"{auxiliaries!r:.100}",
                remedy='Pass ("none", "all"), or {"mine": graph}.',
            )
    return {n: as_graph(auxiliaries, tasks) for n, auxiliaries in named.items()}


def gain_matrix(
    gains: Any, tasks: Sequence[Task]
) -> NDArray[np.float64] | None:
    """Returns gains `[target, source]` in the order of the tasks, if any."""
    if gains is None:
        return None
    if isinstance(gains, TransferGains):
        check_same_tasks("gains", gains.tasks, tasks)
        order = [gains.tasks.index(task) for task in tasks]
        gains = gains.mean[np.ix_(order, order)]
    TransferGraph.from_matrix(tasks, gains)  # raises if it has another shape
    matrix = np.array(gains, dtype="float64")
    np.fill_diagonal(matrix, np.nan)
    if not np.isfinite(matrix).any():
        raise error(
            "`gains` says nothing of any edge.",
            received="no number off the diagonal",
            remedy="Leave `gains` out.",
        )
    return matrix


def thresholds(gains: NDArray[np.float64] | None) -> list[float]:
    """Returns 0 and the gains' deciles, one for each different graph."""
    if gains is None:
        return []
    known = gains[np.isfinite(gains)]
    deciles = np.quantile(known, np.arange(1, 10) / 10)
    # KerasTuner sends numbers to its workers, and back, in float32.
    candidates = [0.0, *(float(np.float32(value)) for value in deciles)]
    by_count: dict[int, float] = {}
    for threshold in candidates:
        by_count.setdefault(int((known > threshold).sum()), threshold)
    return sorted(by_count.values())


def check_each_edge(each_edge: bool, graph: TransferGraph) -> bool:
    """Returns whether to decide edge by edge, if there are few enough."""
    if each_edge and len(graph.edges) > _MOST_EDGES:
        raise error(
            f"`each_edge` is for up to {_MOST_EDGES} edges, each of which is "
            "a hyperparameter.",
            received=f"{len(graph.edges)} edges between "
            f"{len(graph.tasks)} tasks",
            remedy="Pass `gains` from `enumerate_transfer` instead.",
        )
    return bool(each_edge)


def named_weightings(given: Any) -> dict[str, dict[str, Any]]:
    """Returns the configs of weightings by name."""
    if isinstance(given, Mapping) and "class_name" not in given:
        pairs = list(given.items())
    else:
        if isinstance(given, (str, Mapping, weighting_rules.Weighting)):
            given = [given]
        pairs = [(_name_of(one), one) for one in given]
    named = dict(pairs)
    if not named or len(named) < len(pairs):
        raise error(
            "`weightings` must offer at least one weighting, and each name "
            "once.",
            received=f"{[name for name, _ in pairs]}",
            remedy='Pass a dict such as {"mine": weighting}.',
        )
    return {
        name: weighting_rules.serialize(weighting_rules.get(one))
        for name, one in named.items()
    }


def _name_of(weighting: Any) -> str:
    if isinstance(weighting, str):
        return weighting
    name: str = weighting_rules.get(weighting).name
    return name


def weighting_rates(
    weightings: Mapping[str, dict[str, Any]],
    given: Mapping[str, Range | float],
) -> dict[str, Range]:
    """Returns the range of each weighting's learning rate, if it has one."""
    own = {
        name: config["config"]["learning_rate"]
        for name, config in weightings.items()
        if "learning_rate" in config["config"]
    }
    unknown = sorted(set(given) - set(own))
    if unknown:
        raise error(
            "`weighting_learning_rates` names weightings without a learning "
            "rate.",
            received=f"{unknown}",
            remedy=f"Weightings that have one: {sorted(own)}.",
        )
    return {
        name: checked_range(
            f"weighting_learning_rates[{name!r}]",
            given.get(name, (rate / 10, rate * 10)),
        )
        for name, rate in own.items()
    }


def checked_range(name: str, given: Any) -> Range:
    """Returns a range of positive numbers; one number is its own range."""
    is_fixed = isinstance(given, numbers.Real)
    limits: Any = (given, given) if is_fixed else given
    fits = (
        isinstance(limits, (list, tuple))
        and len(limits) == 2
        and all(
            isinstance(n, numbers.Real) and not isinstance(n, bool)
            for n in limits
        )
        and 0 < limits[0] <= limits[1] < math.inf
    )
    if not fits:
        raise error(
            f"`{name}` must be a range (low, high) of positive numbers, or "
            "one such number.",
            received=f"{name}={given!r}",
            remedy="Pass a range such as (1e-4, 1e-2).",
        )
    return float(limits[0]), float(limits[1])


def serialized_optimizer(given: Any) -> Any:
    """Returns an optimizer's config, or the function that makes it."""
    is_optimizer = isinstance(given, keras.optimizers.Optimizer)
    if callable(given) and not is_optimizer:
        return given
    try:
        config = keras.optimizers.serialize(keras.optimizers.get(given))
    except ValueError as problem:
        raise _not_an_optimizer(given) from problem
    if "learning_rate" not in config["config"]:
        raise _not_an_optimizer(given)
    return config


def _not_an_optimizer(given: Any) -> ValueError:
    return error(
        "`optimizer` must be the name, the config or an instance of a Keras "
        "optimizer with a learning rate of its own, or a function of one.",
        received=f"optimizer={given!r}",
        remedy='Pass, say, "adam" or keras.optimizers.AdamW.',
    )
