"""`HeadBank`: every task's head, and the clones that self-auxiliaries are."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_selfaux._checks import check_choice, check_same_tasks, error
from keras_selfaux._registry import naming_config, register
from keras_selfaux._rematerialization import plain_call
from keras_selfaux._stacking import LayerStack, NamedNodes, Nodes, Template
from keras_selfaux._stacking._template import output_of
from keras_selfaux._types import Edge, Layer, Shape, Task, Tensor
from keras_selfaux.graph import TransferGraph

# Gathering a weight and computing so many outputs take equally long.
_MOST_GATHERED = 4


class EdgeOutputs(NamedTuple):
    """Predictions of equal heads: node i belongs to edge i."""

    edges: list[Edge]
    nodes: Nodes


@register
class HeadBank(keras.layers.Layer):
    """Holds a primary head per task and a clone per edge of a graph.

    A clone `source -> target` has the architecture of the source's head,
    fresh weights of its own, and reads the target's features. Heads of one
    architecture that read features of one shape run as one batched product
    where their kind allows it, primaries and clones apart, so that
    predicting never computes a clone.

    Args:
        heads: `{task: layer}`. The layers are templates: primaries and
            clones are copies of them. A primary starts from its template's
            weights if that was built.
        graph: The `TransferGraph` whose edges get clones. Defaults to the
            graph without edges.
        stack: Whether equal heads are stacked where possible. Defaults to
            `True`; `False` gives the same numbers, more slowly.

    Call arguments:
        inputs: `{task: features}`, tensors of shape `(batch, ...)`.
        training: Whether dropout and the like are active.

    Returns:
        `{task: prediction}` of the primaries.

    Raises:
        ValueError: If the names of heads and tasks differ, or if a clone
            cannot be wired to its target's features.
    """

    def __init__(
        self,
        heads: Mapping[Task, Layer],
        graph: TransferGraph | None = None,
        *,
        stack: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_heads(heads)
        check_choice("stack", stack, (True, False))
        if graph is not None and not isinstance(graph, TransferGraph):
            raise error(
                "`graph` must be a TransferGraph.",
                received=f"graph={graph!r:.100}",
                remedy="Pass one, or None for the graph without edges.",
            )
        self.graph = graph or TransferGraph.empty(heads)
        check_same_tasks("heads", heads, self.graph.tasks)
        self._templates = {
            task: Template(heads[task]) for task in self.graph.tasks
        }
        self._stack = stack
        self.primary_stacks: list[LayerStack] = []
        self.clone_stacks: list[LayerStack] = []
        # The edges of each stack's copies, in order.
        self._primary_edges: list[list[Edge]] = []
        self._clone_edges: list[list[Edge]] = []

    @property
    def heads(self) -> dict[Task, Layer]:
        """The template layers."""
        return {task: t.layer for task, t in self._templates.items()}

    def build(self, input_shape: Mapping[Task, Shape]) -> None:
        """Creates all heads for features of these shapes."""
        check_same_tasks("features", input_shape, self.graph.tasks)
        heads = {task: _copy(t, task) for task, t in self._templates.items()}
        keys = {task: t.key for task, t in self._templates.items()}
        self._check_edges_fit(input_shape, heads, keys)
        # Past `__setattr__`, which would look for layers in long lists.
        self.__dict__.update(
            _primary_edges=_alike(self.graph.primaries, input_shape, keys),
            _clone_edges=_alike(self.graph.edges, input_shape, keys),
        )
        for edges in self._primary_edges:
            self.primary_stacks.append(self._make_stack(edges, input_shape))
        for edges in self._clone_edges:
            # Seeds of clones follow upon those of primaries.
            self.clone_stacks.append(
                self._make_stack(
                    edges,
                    input_shape,
                    fresh=True,
                    first_index=len(self.graph.tasks),
                )
            )

    def _make_stack(
        self,
        edges: Sequence[Edge],
        shapes: Mapping[Task, Shape],
        **options: Any,
    ) -> LayerStack:
        templates = [self._templates[source] for source, _ in edges]
        stack = LayerStack(
            templates, stack=self._stack, trainable=self.trainable, **options
        )
        stack.build(tuple(shapes[edges[0][1]]))
        return stack

    def _check_edges_fit(
        self,
        shapes: Mapping[Task, Shape],
        heads: Mapping[Task, Layer],
        keys: Mapping[Task, str],
    ) -> None:
        """Raises unless each clone's output is shaped as its source's."""
        known: dict[Any, Any] = {}

        def output_shape(source: Task, target: Task) -> Any:
            key = (keys[source], tuple(shapes[target][1:]))
            if key not in known:
                head = heads[source]
                if head.built:  # it was tried on features of another shape
                    head = self._templates[source].copy()
                try:
                    shape, _ = output_of(head, shapes[target])
                    known[key] = tuple(shape[1:])
                except Exception as problem:
                    # Whatever a foreign layer raises, the user is told
                    # which edge it concerns.
                    known[key] = problem
            return known[key]

        for source, target in (*self.graph.primaries, *self.graph.edges):
            wanted = output_shape(source, source)
            found = output_shape(source, target)
            if isinstance(found, Exception) or found != wanted:
                raise _misfit(source, target, shapes, wanted, found) from (
                    found if isinstance(found, Exception) else None
                )

    def primaries(
        self, features: NamedNodes, training: bool | None = None
    ) -> list[EdgeOutputs]:
        """Returns the primaries' predictions, group by group."""
        return _run(
            self._primary_edges, self.primary_stacks, features, training
        )

    def clones(
        self, features: NamedNodes, training: bool | None = None
    ) -> list[EdgeOutputs]:
        """Returns the clones' predictions, group by group."""
        return _run(self._clone_edges, self.clone_stacks, features, training)

    def all_outputs(
        self, features: NamedNodes, training: bool | None = None
    ) -> tuple[list[EdgeOutputs], list[EdgeOutputs]]:
        """Returns the predictions of primaries and clones.

        Where every primary has equally many clones of its own kind beside
        it, as in a complete graph of equal tasks, the heads of a branch
        run as one product.
        """
        if not self._can_run_beside():
            return (
                self.primaries(features, training),
                self.clones(features, training),
            )
        (edges,), (others,) = self._primary_edges, self._clone_edges
        nodes, reads = features.select(target for _, target in edges)
        first, second = self.primary_stacks[0].run_beside(
            self.clone_stacks[0], nodes.take(reads), training
        )
        return [EdgeOutputs(edges, first)], [EdgeOutputs(others, second)]

    @property
    def runs_per_sample(self) -> bool:
        """Whether each sample can be given the heads of one source alone.

        That takes equal heads on features of one shape, all stacked, and
        clones. It is worth while where a head's weights, which are gathered
        for every sample, are few beside what all heads of a branch compute.
        """
        stacks = (*self.primary_stacks, *self.clone_stacks)
        if not len(self.primary_stacks) == len(self.clone_stacks) == 1:
            return False
        heads = sum(stack.count for stack in stacks)
        entries, units = self.primary_stacks[0].size_of_copy
        return all(
            stack.runs_per_sample for stack in stacks
        ) and entries <= _MOST_GATHERED * units * heads / len(self.graph.tasks)

    def per_sample(
        self, features: NamedNodes, source: Tensor, training: bool | None = None
    ) -> Tensor:
        """Predicts each sample's own task on the branches of all tasks.

        Args:
            features: The features of all tasks.
            source: Integers of shape `(batch,)`: the number of each
                sample's task.
            training: Whether dropout and the like are active.

        Returns:
            Tensor of shape `(T, batch, ...)`: what sample i's own head (on
            its own branch) or that head's clone (on any other) predicts;
            arbitrary values where there is no such clone.
        """
        tasks = list(self.graph.tasks)
        (edges,), (others,) = self._primary_edges, self._clone_edges
        module = {edge: i for i, edge in enumerate((*edges, *others))}
        modules = ops.convert_to_tensor(
            [[module.get((s, t), 0) for s in tasks] for t in tasks], "int32"
        )
        source = ops.clip(source, 0, len(tasks) - 1)
        nodes, reads = features.select(tasks)
        return self.primary_stacks[0].run_per_sample(
            self.clone_stacks[0],
            nodes.take(reads).stacked,
            ops.take(modules, source, axis=1),
            training,
        )

    def _can_run_beside(self) -> bool:
        stacks = (*self.primary_stacks, *self.clone_stacks)
        if len(stacks) != 2 or not all(stack.stacked for stack in stacks):
            return False
        if not self._clone_edges:
            return False
        (edges,), (others,) = self._primary_edges, self._clone_edges
        fan = len(others) // len(edges)
        targets = [target for _, target in edges for _ in range(fan)]
        return targets == [target for _, target in others]

    def call(
        self, inputs: Mapping[Task, Tensor], training: bool | None = None
    ) -> dict[Task, Tensor]:
        """Returns `{task: prediction}`."""
        outputs = self.primaries(NamedNodes.from_dict(inputs), training)
        return self.by_task(outputs)

    def by_task(self, outputs: Iterable[EdgeOutputs]) -> dict[Task, Tensor]:
        """Sorts the primaries' outputs into `{task: prediction}`."""
        found = {
            target: nodes[i]
            for edges, nodes in outputs
            for i, (_, target) in enumerate(edges)
        }
        return {task: found[task] for task in self.graph.tasks}

    # Parts may be recomputed, not the whole.
    rematerialized_call = staticmethod(plain_call)

    def plain_heads(
        self, features: Mapping[Task, Any], taken: Collection[str] = ()
    ) -> dict[Task, Any]:
        """Applies ordinary Keras layers with the primaries' weights.

        Args:
            features: `{task: symbolic features}`.
            taken: Names of layers that exist already.

        Returns:
            `{task: symbolic prediction}`; each layer has its task's name, in
            letters that TensorFlow allows, and `_head` where that is taken.
        """
        outputs, taken = {}, {*taken}
        for edges, stack in zip(
            self._primary_edges, self.primary_stacks, strict=True
        ):
            for module, (task, _) in enumerate(edges):
                name = re.sub(r"[^A-Za-z0-9_.-]", "_", task)
                while name in taken:
                    name += "_head"
                taken.add(name)
                layer = stack.plain_layer(module, name, features[task])
                outputs[task] = layer(features[task])
        return {task: outputs[task] for task in self.graph.tasks}

    @property
    def num_clone_parameters(self) -> int:
        """How many parameters the clones have."""
        return sum(stack.count_params() for stack in self.clone_stacks)

    def edge_weights(self, edge: Edge) -> list[Any]:
        """Returns the weights of a primary `(t, t)` or clone, as arrays."""
        stack, module = self._find(edge)
        return stack.module_weights(module)

    def set_edge_weights(self, edge: Edge, weights: Sequence[Any]) -> None:
        """Sets the weights of a primary `(t, t)` or clone."""
        stack, module = self._find(edge)
        stack.set_module_weights(module, weights)

    def _find(self, edge: Edge) -> tuple[LayerStack, int]:
        for edges, stack in zip(
            (*self._primary_edges, *self._clone_edges),
            (*self.primary_stacks, *self.clone_stacks),
            strict=True,
        ):
            if edge in edges:
                return stack, edges.index(edge)
        raise error(
            "There is no head for this edge.",
            received=f"edge={edge!r}",
            remedy="Use (task, task) or an edge of the graph, once built.",
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the config, with templates and graph serialised."""
        return {
            **super().get_config(),
            "heads": {t: v.serialize() for t, v in self._templates.items()},
            "graph": self.graph.get_config(),
            "stack": self._stack,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HeadBank":
        """Returns the bank that `get_config` described."""
        load = keras.saving.deserialize_keras_object
        with naming_config(cls, config):
            heads = {t: load(head) for t, head in config["heads"].items()}
            graph = TransferGraph.from_config(config["graph"])
            return cls(**{**config, "heads": heads, "graph": graph})


def _alike(
    edges: Sequence[Edge],
    shapes: Mapping[Task, Shape],
    keys: Mapping[Task, str],
) -> list[list[Edge]]:
    """Groups edges by head architecture and shape of features."""
    groups: dict[Any, list[Edge]] = {}
    for source, target in edges:
        key = (keys[source], tuple(shapes[target][1:]))
        groups.setdefault(key, []).append((source, target))
    return list(groups.values())


def _run(
    groups: Iterable[list[Edge]],
    stacks: Iterable[LayerStack],
    features: NamedNodes,
    training: bool | None,
) -> list[EdgeOutputs]:
    outputs = []
    for edges, stack in zip(groups, stacks, strict=True):
        nodes, reads = features.select(target for _, target in edges)
        modules = range(len(edges))
        outputs.append(
            EdgeOutputs(edges, stack.run(nodes, reads, modules, training))
        )
    return outputs


def check_heads(heads: Any) -> None:
    """Raises unless `heads` is a dict of Keras layers."""
    if not isinstance(heads, Mapping) or not all(
        isinstance(head, keras.layers.Layer) for head in heads.values()
    ):
        raise error(
            "`heads` must be a dict {task: Keras layer}.",
            received=f"heads={heads!r}",
            remedy='Pass, say, {"seg": keras.layers.Dense(13)}.',
        )


def _copy(template: Template, task: Task) -> Layer:
    try:
        return template.copy()
    except Exception as problem:  # whatever a foreign layer raises
        raise error(
            f"The head of task {task!r} cannot be copied by its config.",
            received=f"{problem}",
            remedy="Register what it is made of with "
            "`keras.saving.register_keras_serializable`.",
        ) from problem


def _misfit(
    source: Task,
    target: Task,
    shapes: Mapping[Task, Shape],
    wanted: Any,
    found: Any,
) -> ValueError:
    received = f"features of {target!r} with shape {tuple(shapes[target])}"
    if source == target:
        return error(
            f"The head of task {source!r} does not fit its features.",
            received=f"{received} ({found})",
            remedy="Change the head or the encoder's output.",
        )
    return error(
        f"Self-auxiliary {source!r} -> {target!r} cannot be wired: the head "
        f"of {source!r} was made for features of shape "
        f"{tuple(shapes[source])} and gives {wanted}.",
        received=f"{received}, on which it gives {found}",
        remedy="Leave the edge out, or let both branches end in features "
        "of one shape.",
    )
