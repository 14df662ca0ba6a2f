"""`Weighting`: the base class of all rules for task weights."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._checks import check_choice
from keras_selfaux._rematerialization import plain_call
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.graph import TransferGraph


class Weighting(keras.layers.Layer):
    """Sets the weight of every edge's loss; subclasses say how.

    A subclass implements `raw_weights`, and creates its state in
    `build_state`. A bilevel weighting sets `needs_meta_data` and implements
    `update`; the model then computes the gradient of the meta loss with
    respect to the weights and hands it on.

    Args:
        normalize: `None`, or `"branch"` to divide the weights on each
            target's branch by their sum, so that every branch has a total
            weight of 1 however many clones it carries. Defaults to `None`.

    Attributes:
        needs_meta_data: Whether training needs a meta batch at every step.
        update_every: A bilevel weighting is updated every so many steps.
        edges: The edges that the weights belong to, primaries first.
    """

    needs_meta_data = False
    update_every = 1

    def __init__(self, normalize: str | None = None, **kwargs: Any) -> None:
        # float32 whatever the policy: 70,000 overflows float16.
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_choice("normalize", normalize, (None, "branch"))
        self.normalize = normalize
        self.edges: tuple[Edge, ...] = ()
        self._same_branch = np.zeros((0, 0), "float32")

    def build(self, graph: TransferGraph) -> None:
        """Creates the state for the primaries and edges of a graph."""
        self.edges = (*graph.primaries, *graph.edges)
        targets = np.array([target for _, target in self.edges])
        same = targets[:, None] == targets[None, :]
        self._same_branch = same.astype("float32")
        self.build_state(self.edges)

    def build_state(self, edges: Sequence[Edge]) -> None:
        """Creates variables; called once, when the edges are known."""

    def raw_weights(self, losses: Tensor) -> Tensor:
        """Returns the weights before normalisation.

        Args:
            losses: Tensor of shape `(n,)`, float32, without gradient.

        Returns:
            Tensor of shape `(n,)`, float32.
        """
        raise NotImplementedError

    def call(self, losses: Tensor) -> Tensor:
        """Returns the weights ω, shape `(n,)`, in the order of `edges`."""
        weights = ops.cast(self.raw_weights(losses), "float32")
        return self._normalized(weights)

    def update(self, gradient: Tensor) -> None:
        """Takes a step on the weights.

        Args:
            gradient: Tensor of shape `(n,)`: the derivative of the meta
                loss with respect to the weights that `call` returned. It is
                the same on every replica.
        """

    def gradient_of_raw(self, gradient: Tensor, raw: Tensor) -> Tensor:
        """Carries a gradient through the normalisation.

        Args:
            gradient: The derivative with respect to the weights applied.
            raw: The weights before normalisation.

        Returns:
            The derivative with respect to `raw`.
        """
        if self.normalize is None:
            return gradient
        applied = self._normalized(raw)
        along = self._branch_sum(gradient * applied)
        return ops.divide_no_nan(gradient - along, self._branch_sum(raw))

    def _normalized(self, weights: Tensor) -> Tensor:
        if self.normalize is None:
            return weights
        return ops.divide_no_nan(weights, self._branch_sum(weights))

    def _branch_sum(self, values: Tensor) -> Tensor:
        return ops.matmul(self._same_branch, values[:, None])[:, 0]

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state."""
        config = super().get_config()
        del config["dtype"]
        return {**config, "normalize": self.normalize}

    def load_own_variables(self, store: Any) -> None:
        """Loads the state; one that the file lacks starts afresh."""
        if self.weights and not store.keys():
            warnings.warn(
                f"The file has no state of weighting {self.name!r}: it was "
                "saved with another one. Task weights start afresh.",
                stacklevel=2,
            )
            return
        super().load_own_variables(store)

    rematerialized_call = staticmethod(plain_call)

    def get_build_config(self) -> None:
        """Keeps the graph out of the config: `compile` builds again."""
        return None
