"""`Objective`: the losses of primaries and clones from their predictions."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._batch import SingleTask
from keras_selfaux._stacking import NamedNodes, Nodes
from keras_selfaux._types import Edge, PerTask, Tensor
from keras_selfaux.losses import masked_loss
from keras_selfaux.losses._masked import masked_values, pooled
from keras_selfaux.losses._misfits import named_misfits
from keras_selfaux.metrics import stack_weights


class PresentLabels:
    """Which labels are present, by edge; cut out of the stack when asked."""

    def __init__(self) -> None:
        self._places: dict[Edge, tuple[Tensor | None, int]] = {}

    def add(self, edges: Sequence[Edge], masks: Tensor | None) -> None:
        """Adds the masks of edges that were computed at once."""
        for i, edge in enumerate(edges):
            self._places[edge] = masks, i

    def __getitem__(self, edge: Edge) -> Tensor | None:
        """Returns the mask `(batch, ...)`, or `None` if none can miss."""
        masks, i = self._places[edge]
        return None if masks is None else masks[i]

    def stacked(self, edges: Sequence[Edge]) -> Tensor | None:
        """Returns the masks of several edges, `(n, batch, ...)`."""
        places = [self._places[edge] for edge in edges]
        masks = places[0][0]
        if any(other is not masks for other, _ in places):
            return stack_weights([self[edge] for edge in edges])
        if masks is None:
            return None
        return Nodes(stacked=masks).take([i for _, i in places]).stacked


class EdgeLosses(NamedTuple):
    """The losses of n edges as fractions, in a fixed order.

    Attributes:
        numerators: Tensor of shape `(n,)`, float32.
        denominators: Tensor of shape `(n,)`, float32.
        counts: Tensor of shape `(n,)`, float32: the numbers of labels
            present.
        present: The masks of the labels present.
    """

    numerators: Tensor
    denominators: Tensor
    counts: Tensor
    present: PresentLabels


class Objective:
    """Computes the loss of every edge, those of one kind at once.

    An edge `(source, target)` has the source's loss on the source's labels.
    Edges whose losses are of one config and whose labels and predictions
    are of one shape are computed as one batch.

    Args:
        losses: `{task: keras.losses.Loss}`.
    """

    def __init__(self, losses: PerTask[keras.losses.Loss]) -> None:
        self.losses = dict(losses)
        self._keys = {task: _key(loss) for task, loss in losses.items()}

    def __call__(
        self,
        outputs: Iterable[tuple[Sequence[Edge], Nodes]],
        labels: PerTask[Tensor],
        sample_weights: PerTask[Tensor | None],
        order: Sequence[Edge],
    ) -> EdgeLosses:
        """Returns the losses of the edges, in the given order.

        Args:
            outputs: Pairs of edges and the nodes of their predictions.
            labels: `{task: y_true}`.
            sample_weights: `{task: weights}` or `None` for a task.
            order: The edges of the result.
        """
        labels = NamedNodes.from_dict(labels)
        sample_weights = NamedNodes.from_dict(sample_weights)
        found: list[Edge] = []
        numerators, denominators, counts = [], [], []
        present = PresentLabels()
        for edges, nodes in outputs:
            for members in self._alike(edges, labels, sample_weights):
                chosen = [edges[i] for i in members]
                sources = [source for source, _ in chosen]
                compared = (
                    labels.stack(sources),
                    nodes.take(members).stacked,
                    sample_weights.stack(sources),
                )
                loss = self.losses[sources[0]]
                with named_misfits(sources[0], loss, *compared):
                    result = masked_loss(
                        loss, *compared, nodes.take(members).mask
                    )
                found += chosen
                numerators.append(result.numerator)
                denominators.append(result.denominator)
                counts.append(result.count)
                present.add(chosen, result.present)
        number = {edge: i for i, edge in enumerate(found)}
        places = [number[edge] for edge in order]
        return EdgeLosses(
            _ordered(numerators, places),
            _ordered(denominators, places),
            _ordered(counts, places),
            present,
        )

    @property
    def is_uniform(self) -> bool:
        """Whether all tasks have losses that compute the same."""
        return len(set(self._keys.values())) == 1

    def of_single_tasks(
        self,
        predictions: Tensor,
        single: SingleTask,
        order: Sequence[Edge],
    ) -> EdgeLosses:
        """Returns the edges' losses where every sample has one task.

        The losses of all tasks must be of one kind.

        Args:
            predictions: Shape `(T, batch, ...)`: for every target, what the
                head of each sample's own task predicts on its branch.
            single: The samples' labels, tasks and weights.
            order: The edges of the result.
        """
        tasks = list(self.losses)
        count = len(tasks)
        loss = self.losses[tasks[0]]

        def for_all(values: Tensor) -> Tensor:
            shape = (count, *ops.shape(values))
            return ops.broadcast_to(values[None], shape)

        weights = single.sample_weight
        compared = (
            for_all(single.labels),
            predictions,
            None if weights is None else for_all(weights),
        )
        with named_misfits(tasks[0], loss, *compared):
            found = masked_values(loss, *compared)
        task = single.task
        owners = ops.one_hot(task, count, dtype="float32")
        places = [
            tasks.index(target) * count + tasks.index(source)
            for source, target in order
        ]

        def by_edge(values: Tensor) -> Tensor:  # (T, batch) -> (n,)
            sums = ops.reshape(ops.matmul(values, owners), (-1,))
            return Nodes(stacked=sums).take(places).stacked

        numerators, denominators, counts = map(
            by_edge, pooled(loss.reduction, found, batch_axis=2)
        )
        if loss.reduction == "sum":
            denominators = ops.ones_like(denominators)
        present = PresentLabels()
        owned = ops.equal(ops.arange(count)[:, None], task[None])
        while len(owned.shape) < len(found.values.shape):
            owned = ops.expand_dims(owned, -1)
        if found.present is not None:
            owned = ops.logical_and(owned, found.present)
        present.add([(task, task) for task in tasks], owned)
        return EdgeLosses(numerators, denominators, counts, present)

    def _alike(
        self,
        edges: Sequence[Edge],
        labels: NamedNodes,
        sample_weights: NamedNodes,
    ) -> list[list[int]]:
        """Splits edges into groups that can be computed at once."""
        groups: dict[Any, list[int]] = {}
        for i, (source, _) in enumerate(edges):
            key = (
                self._keys[source],
                labels.kind(source),
                sample_weights.kind(source),
            )
            groups.setdefault(key, []).append(i)
        return list(groups.values())


def _key(loss: keras.losses.Loss) -> str:
    """Returns a text that is equal only for losses that compute the same.

    The config will not do: that of Keras's `Huber`, say, lacks its `delta`.
    """
    settings = {
        name: _setting(value)
        for name, value in vars(loss).items()
        if name not in ("name", "_dtype_policy")  # `_dtype` says it
    }
    return f"{type(loss)} {settings!r}"


def _setting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _setting(entry) for name, entry in value.items()}
    simple = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if simple else id(value)


def _ordered(parts: Sequence[Tensor], places: Sequence[int]) -> Tensor:
    if not parts:
        return ops.zeros((0,), dtype="float32")
    values = parts[0] if len(parts) == 1 else ops.concatenate(parts)
    return Nodes(stacked=values).take(places).stacked
