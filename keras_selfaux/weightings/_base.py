"""`Weighting`: the base class of all rules for task weights."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_selfaux._checks import check_choice
from keras_selfaux._rows import Rows
from keras_selfaux._rule import Rule
from keras_selfaux._types import Edge, Tensor
from keras_selfaux.distribution import num_replicas
from keras_selfaux.graph import TransferGraph

# Its square is well within float32.
_LARGEST = 1e15


class Observation(NamedTuple):
    """What a training step tells a weighting that learns from it.

    The u entries of each tensor belong to the weighting's `units`. All are
    float32 and the same on every replica.

    Attributes:
        losses: Tensor of shape `(u,)`: the losses before the step.
        counts: Tensor of shape `(u,)`: how many labels they are means of.
        present: Tensor of shape `(u,)`, bool: which have labels and are
            finite; a weighting learns from no others.
        weights: Tensor of shape `(u,)`: the weights that were applied,
            before normalisation.
        later_losses: Tensor of shape `(u,)`: the losses of the same batch
            after the step, where `needs_later_losses`.
        rows: The rows of the weighted losses, where `needs_rows`.
    """

    losses: Tensor
    counts: Tensor
    present: Tensor
    weights: Tensor
    later_losses: Tensor | None = None
    rows: Rows | None = None


class Weighting(Rule):
    """Sets the weight of every edge's loss; subclasses say how.

    A subclass implements `raw_weights`. It creates its state in
    `build_state` and, if it learns while the model trains, moves it in
    `learn`, `on_epoch_end` or, being bilevel, `update`. Class attributes
    say what a step has to find out for that.

    Args:
        by: What has a weight of its own. `"task"`: every task; the losses
            of the primaries decide, and a clone has the weight of the task
            whose labels it learns. `"edge"`: every loss, clones included.
            Defaults to the class's `default_by`.
        normalize: `None`, or `"branch"` to divide the weights on each
            target's branch by their sum, so that every branch has a total
            weight of 1 however many clones it carries. Defaults to `None`.

    Attributes:
        needs_meta_data: Whether training needs a meta batch at every step,
            for `update`.
        update_every: A bilevel weighting is updated every so many steps.
        needs_later_losses: Whether `learn` needs the losses after the step.
        needs_rows: Whether `learn` needs the rows of the shared variables.
        is_momentary: Whether weights are set anew at every step, by its
            losses or by chance. They are then kept for `current_weights`.
        bounds: The least and the largest weight ever applied, before
            normalisation.
        edges: All n edges of the model's graph, primaries first.
        units: The u edges that have a weight of their own: the primaries
            (by task) or all (by edge).
    """

    default_by = "task"
    needs_meta_data = False
    update_every = 1
    needs_later_losses = False
    needs_rows = False
    is_momentary = False
    bounds = (0.0, math.inf)

    def __init__(
        self,
        by: str | None = None,
        normalize: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.by = self.default_by if by is None else by
        check_choice("by", self.by, ("task", "edge"))
        check_choice("normalize", normalize, (None, "branch"))
        self.normalize = normalize
        self.edges: tuple[Edge, ...] = ()
        self.units: tuple[Edge, ...] = ()
        self._sources = self._targets = np.zeros((0,), "int32")

    def build(self, graph: TransferGraph) -> None:
        """Creates the state for the primaries and edges of a graph."""
        self.edges = (*graph.primaries, *graph.edges)
        self.units = self.edges if self.by == "edge" else graph.primaries
        tasks = {task: i for i, task in enumerate(graph.tasks)}
        self._sources = np.array([tasks[s] for s, _ in self.edges], "int32")
        self._targets = np.array([tasks[t] for _, t in self.edges], "int32")
        self.build_state(self.units)
        if self.is_momentary:
            self.applied = self.add_state("applied", (len(self.edges),))
            ones = ops.ones((len(self.edges),))
            self.applied.assign(self._normalized(ones))

    def build_state(self, units: Sequence[Edge]) -> None:
        """Creates variables; called once, when the units are known."""

    # What to apply.

    def raw_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the weights before normalisation.

        Args:
            losses: Tensor of shape `(u,)`, float32, without gradient; 0
                where not present.
            present: Tensor of shape `(u,)`, bool: which losses have labels
                in the global batch and are finite. The rule must work as if
                there were no others; what it gives those does not matter.

        Returns:
            Tensor of shape `(u,)`, float32.
        """
        raise NotImplementedError

    def call(self, losses: Tensor, present: Tensor | None = None) -> Tensor:
        """Returns the weights ω in the order of `edges`.

        Args:
            losses: Tensor of shape `(n,)`, without gradient.
            present: Tensor of shape `(n,)`, bool: which losses have labels.
                Defaults to all.

        Returns:
            Tensor of shape `(n,)`, float32.
        """
        losses = ops.cast(losses, "float32")
        if present is None:
            present = ops.ones_like(losses, dtype="bool")
        return self.weights_of_edges(self.bounded_weights(losses, present))

    def bounded_weights(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns the weights of the units, within `bounds`.

        Args:
            losses: Tensor of shape `(n,)`, float32.
            present: Tensor of shape `(n,)`, bool.
        """
        losses, present = self._valid(losses, present)
        raw = ops.cast(self.raw_weights(losses, present), "float32")
        return ops.clip(raw, *self.bounds)

    def weights_of_edges(self, raw: Tensor) -> Tensor:
        """Returns the weights ω `(n,)` from those of the units `(u,)`."""
        return self._normalized(self._of_edges(raw))

    def current_weights(self) -> Tensor:
        """Returns the weights ω for reports, shape `(n,)`.

        They are those of the last step where `is_momentary`, else those of
        the next one.
        """
        if self.is_momentary:
            return ops.convert_to_tensor(self.applied)
        return self(ops.ones((len(self.edges),)))

    # How to learn.

    def observe(
        self,
        losses: Tensor,
        counts: Tensor,
        weights: Tensor,
        raw: Tensor,
        later_losses: Tensor | None = None,
        rows: Rows | None = None,
    ) -> None:
        """Takes in a training step; see `Observation`.

        Args:
            losses: Tensor of shape `(n,)`: the losses before the step.
            counts: Tensor of shape `(n,)`: the numbers of labels.
            weights: Tensor of shape `(n,)`: ω as it was applied.
            raw: Tensor of shape `(u,)`: what `bounded_weights` returned.
            later_losses: Tensor of shape `(n,)`, or `None`.
            rows: The rows, or `None`.
        """
        if self.is_momentary:
            self.applied.assign(weights)
        valid, present = self._valid(losses, counts > 0)
        if later_losses is not None:
            later_losses, still = self._valid(later_losses, counts > 0)
            present = ops.logical_and(present, still)
        counts = self._of_units(counts)
        self.learn(Observation(valid, counts, present, raw, later_losses, rows))

    def learn(self, observation: Observation) -> None:
        """Moves the state after a training step."""

    def update(self, gradient: Tensor) -> None:
        """Takes a step on the weights of a bilevel weighting.

        Args:
            gradient: Tensor of shape `(n,)`: the derivative of the meta
                loss with respect to the weights that `call` returned. It is
                the same on every replica.
        """

    def descend(self, variable: Any, gradient: Tensor, present: Tensor) -> None:
        """Takes a step of `self.optimizer` on the units that are present.

        Args:
            variable: A state variable of shape `(u,)`.
            gradient: Tensor of shape `(u,)`, the same on every replica.
            present: Tensor of shape `(u,)`, bool; the others stay.
        """
        # What has no gradient must neither go on by inertia nor slow down.
        moving = [
            v
            for v in (variable, *self.optimizer.variables)
            if v.shape == variable.shape
        ]
        before = [ops.copy(ops.convert_to_tensor(v)) for v in moving]
        gradient = ops.where(present, gradient, ops.zeros_like(gradient))
        # An optimizer may square it, and would never forget an infinity.
        gradient = ops.clip(gradient, -_LARGEST, _LARGEST)
        # Keras's optimizers sum over replicas, and all have this gradient.
        self.optimizer.apply([gradient / num_replicas()], [variable])
        for moved, old in zip(moving, before, strict=True):
            moved.assign(ops.where(present, ops.convert_to_tensor(moved), old))

    def gradient_of_raw(self, gradient: Tensor, raw: Tensor) -> Tensor:
        """Carries a gradient through the normalisation.

        Args:
            gradient: Tensor of shape `(n,)`: the derivative with respect to
                the weights applied.
            raw: Tensor of shape `(u,)`: the weights before normalisation.

        Returns:
            The derivative with respect to `raw`, shape `(u,)`.
        """
        if self.normalize is not None:
            spread = self._of_edges(raw)
            along = self._branch_sum(gradient * self._normalized(spread))
            gradient = ops.divide_no_nan(
                gradient - along, self._branch_sum(spread)
            )
        return gradient if self.by == "edge" else _sums(gradient, self._sources)

    # Between the n edges and the u units.

    def _of_edges(self, values: Tensor) -> Tensor:
        return values if self.by == "edge" else ops.take(values, self._sources)

    def _of_units(self, values: Tensor) -> Tensor:
        return values[: len(self.units)]

    def _valid(self, losses: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the units' losses, 0 where absent, and which are valid."""
        losses = self._of_units(ops.cast(losses, "float32"))
        present = ops.logical_and(self._of_units(present), ops.isfinite(losses))
        return ops.where(present, losses, ops.zeros_like(losses)), present

    def _normalized(self, weights: Tensor) -> Tensor:
        if self.normalize is None:
            return weights
        return ops.divide_no_nan(weights, self._branch_sum(weights))

    def _branch_sum(self, values: Tensor) -> Tensor:
        return ops.take(_sums(values, self._targets), self._targets)

    def get_config(self) -> dict[str, Any]:
        """Returns the config, without the state."""
        settings = {"by": self.by, "normalize": self.normalize}
        return {**super().get_config(), **settings}


def _sums(values: Tensor, groups: np.ndarray) -> Tensor:
    """Returns the sum of each group, numbered from 0 on, as one product."""
    members = np.eye(groups.max() + 1, dtype="float32")[groups]
    return ops.matmul(values[None], members)[0]
