"""What the tests of single weightings share."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_selfaux import TransferGraph
from keras_selfaux._rows import Rows, rows_of
from keras_selfaux.weightings import Weighting
from tests.properties import step

THREE = TransferGraph(["a", "b", "c"])
TWO = TransferGraph(["a", "b"])
CLONED = TransferGraph(["a", "b"], [("a", "b")])


def built(weighting: Any, graph: TransferGraph = THREE) -> Any:
    """Returns the weighting, built for a graph."""
    weighting.build(graph)
    return weighting


def apply(weighting: Weighting, *arguments: Any, **options: Any) -> np.ndarray:
    """Takes a training step and returns the weights it applied."""
    return np.array(step(weighting, *arguments, **options))


def weights(
    weighting: Weighting, losses: Sequence[float], present: Any = None
) -> np.ndarray:
    """Returns the weights of some losses."""
    return np.array(weighting(np.array(losses, "float32"), present))


def rows(*vectors: Sequence[float]) -> Rows:
    """Returns the rows of a single shared variable."""
    tensor = np.array(vectors, "float32")
    return rows_of([tensor], np.ones(len(vectors), "float32"))


class Adam:
    """Adam as its authors wrote it, for one vector."""

    def __init__(self, rate: float) -> None:
        self.rate, self.count = rate, 0
        self.mean: Any = 0.0
        self.square: Any = 0.0

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """Returns what to add to the vector."""
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - 0.9**self.count)
        square = self.square / (1 - 0.999**self.count)
        return -self.rate * mean / np.sqrt(square + 1e-30)
