"""The networks of an enumeration: every task alone, and every pair."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keras_selfaux._types import Task


class Network(NamedTuple):
    """One or two tasks that train together, from the weights of one seed.

    Attributes:
        tasks: The tasks, in the order of all tasks.
        seed: The seed of initial weights and dropout.
    """

    tasks: tuple[Task, ...]
    seed: int

    @property
    def run_id(self) -> str:
        """A name that no other network has: tasks have no "/" in theirs."""
        return "/".join([*self.tasks, f"seed_{self.seed}"])


def networks_of(tasks: Sequence[Task], seeds: Iterable[int]) -> list[Network]:
    """Returns the T single tasks and T(T-1)/2 pairs, once for every seed."""
    sets = [(task,) for task in tasks]
    pairs = list(itertools.combinations(tasks, 2))
    return [Network(s, seed) for seed in seeds for s in (*sets, *pairs)]
