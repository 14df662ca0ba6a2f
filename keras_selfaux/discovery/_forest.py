"""`Forest`: many small networks that train as one model, never joined."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_selfaux import _compile
from keras_selfaux._batch import Batch, as_batch
from keras_selfaux._stacking import Template
from keras_selfaux._stacking._template import without_names
from keras_selfaux._types import Layer, Task
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.model import SelfAuxModel
from keras_selfaux.weightings import Equal

# An optimizer of these treats every entry of a variable alone, so that it
# does to stacked networks what it does to each.
_ELEMENTWISE = (
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
)
_BY_TASK = ("loss", "loss_weights", "metrics", "weighted_metrics")


class Tree(NamedTuple):
    """One network of a forest.

    Attributes:
        leaves: `{task: the forest's own name for it}`.
        loss_weights: `{task: number}`.
    """

    leaves: dict[Task, str]
    loss_weights: dict[Task, float]


class Forest(SelfAuxModel):
    """Networks that share nothing, as one model.

    The tasks of this model are leaves: one for each task of each network.
    It takes the data that the networks take, with labels by task.

    Args:
        encoder: The networks' encoders side by side.
        heads: `{leaf: layer}`.
        trees: The networks.
        tasks: All tasks that labels come for.
    """

    def __init__(
        self,
        encoder: BranchedEncoder,
        heads: Mapping[str, Layer],
        trees: Sequence[Tree],
        tasks: Sequence[Task],
    ) -> None:
        super().__init__(encoder, heads, "none", name="forest")
        # Past `__setattr__`, which would wrap what it finds.
        self.__dict__.update(
            trees=list(trees),
            labelled_tasks=list(tasks),
            _task_of={
                leaf: task
                for tree in trees
                for task, leaf in tree.leaves.items()
            },
        )

    def as_batch(self, data: Any) -> Batch:
        """Gives every leaf the labels of its task."""
        batch = as_batch(data, self.labelled_tasks)
        return Batch(
            batch.x,
            batch.y.renamed(self._task_of),
            batch.sample_weight.renamed(self._task_of),
        )


def obstacle(network: Any) -> str | None:
    """Says what keeps networks like this one from making up a forest.

    Args:
        network: A network, built and compiled.

    Returns:
        The reason, or `None` if nothing does.
    """
    # Subclasses may do as they like.
    if type(network) is not SelfAuxModel:
        return f"a {type(network).__name__}, which is not a SelfAuxModel"
    if type(network.encoder) is not BranchedEncoder:
        encoder = type(network.encoder).__name__
        return f"an encoder of type {encoder}, not BranchedEncoder"
    if network.transfer_graph.edges:
        return "self-auxiliaries"
    if type(network.weighting) is not Equal or network.aggregator is not None:
        return "a weighting or an aggregator"
    if network.distribute_strategy.num_replicas_in_sync > 1:
        return "several replicas"
    if not all(layer.trainable for layer in network._flatten_layers()):
        return "frozen layers"
    parts = (network, network.encoder, network.head_bank)
    if {part.dtype_policy.name for part in parts} != {
        keras.config.dtype_policy().name
    }:
        return "a dtype policy that is not the global one"
    return _obstacle_in_optimizer(network.optimizer)


def _obstacle_in_optimizer(optimizer: Any) -> str | None:
    if type(optimizer) not in _ELEMENTWISE:
        name = type(optimizer).__name__
        return f"{name}, which may not treat every weight alone"
    if optimizer.clipnorm is not None or optimizer.global_clipnorm is not None:
        return "gradients clipped by norm"
    if hasattr(optimizer, "_exclude_from_weight_decay"):
        return "variables excluded from weight decay"
    return None


def looped_parts(network: Any) -> list[str]:
    """Says which parts of a network do not stack, in a few words each."""
    stacks = (*network.encoder.stage_stacks, *network.head_bank.primary_stacks)
    return [stack.describe() for stack in stacks if not stack.stacked]


def plant(networks: Sequence[Any], tasks: Sequence[Task]) -> Forest:
    """Joins networks into a forest, with their weights as they are.

    Args:
        networks: `SelfAuxModel`s, built and compiled, that differ in nothing
            but their tasks and weights.
        tasks: All tasks that labels come for.

    Returns:
        The forest, built and compiled.

    Raises:
        NotAForestError: If the networks cannot be joined.
    """
    try:
        return _planted(networks, tasks)
    except NotAForestError:
        raise
    except Exception as problem:  # of whatever does not go through a config
        raise not_a_forest(f"{type(problem).__name__}: {problem}") from problem


def _planted(networks: Sequence[Any], tasks: Sequence[Task]) -> Forest:
    first = networks[0]
    wanted = _in_common(first)
    trees: list[Tree] = []
    paths: dict[str, list[int]] = {}
    heads: dict[str, Layer] = {}
    offsets = [0] * len(first.encoder.stage_stacks)
    for number, network in enumerate(networks):
        if obstacle(network) or _in_common(network) != wanted:
            raise not_a_forest(
                obstacle(network)
                or "networks that differ in more than tasks and weights"
            )
        leaves = {t: f"{number}.{t}" for t in network.transfer_graph.tasks}
        scales = dict(zip(leaves, network.edge_scales, strict=True))
        trees.append(Tree(leaves, scales))
        for task, path in network.encoder.path_table.items():
            moved = [o + m for o, m in zip(offsets, path, strict=True)]
            paths[leaves[task]] = moved
            heads[leaves[task]] = network.head_bank.heads[task]
        table = network.encoder.path_table.values()
        widths = [1 + max(modules) for modules in zip(*table, strict=True)]
        offsets = [o + w for o, w in zip(offsets, widths, strict=True)]
    encoder = BranchedEncoder(first.encoder.stages, paths)
    forest = Forest(encoder, heads, trees, tasks)
    forest.build(first.inputs_shape)
    _copy_weights(networks, forest)
    forest.compile(**_compile_arguments(networks, trees))
    return forest


class NotAForestError(ValueError):
    """Raised where networks cannot be joined."""


def not_a_forest(reason: str) -> NotAForestError:
    """Returns the error for this reason."""
    return NotAForestError(
        f"These networks cannot train as a forest. Received: {reason}. Change "
        'that, or pass strategy="tuner".'
    )


def _in_common(network: Any) -> Any:
    config = network.get_compile_config()
    config = {k: v for k, v in config.items() if k not in _BY_TASK}
    stages = [Template(stage).key for stage in network.encoder.stages]
    return stages, without_names(config)


def _compile_arguments(
    networks: Sequence[Any], trees: Sequence[Tree]
) -> dict[str, Any]:
    config = networks[0].get_compile_config()
    arguments: dict[str, Any] = keras.saving.deserialize_keras_object(
        {k: v for k, v in config.items() if k not in _BY_TASK}
    )
    arguments.update({name: {} for name in _BY_TASK})
    for network, tree in zip(networks, trees, strict=True):
        found = {
            "loss": network.objective.losses,
            "loss_weights": tree.loss_weights,
            "metrics": _metrics(network, "metrics"),
            "weighted_metrics": _metrics(network, "weighted_metrics"),
        }
        for name, by_task in found.items():
            for task, value in by_task.items():
                arguments[name][tree.leaves[task]] = value
    return arguments


def _metrics(network: Any, name: str) -> dict[Task, list[Any]]:
    """Returns a network's metrics as configs, of which copies can be made."""
    by_task = _compile.metrics_by_task(
        network.compile_arguments[name], network.transfer_graph.tasks
    )
    return {
        task: [_copyable(metric) for metric in metrics]
        for task, metrics in by_task.items()
    }


def _copyable(metric: Any) -> Any:
    """Returns a metric in a form of which `compile` makes a new one."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    if type(metric).__module__.startswith("keras."):
        return keras.saving.serialize_keras_object(metric)
    return _compile.copied_metric(metric)


def _copy_weights(networks: Sequence[Any], forest: Forest) -> None:
    for stage, stack in enumerate(forest.encoder.stage_stacks):
        sources = [network.encoder.stage_stacks[stage] for network in networks]
        stack.set_all_weights(
            [s.module_weights(m) for s in sources for m in range(s.count)]
        )
    for network, tree in zip(networks, forest.trees, strict=True):
        for task, leaf in tree.leaves.items():
            weights = network.head_bank.edge_weights((task, task))
            forest.head_bank.set_edge_weights((leaf, leaf), weights)
