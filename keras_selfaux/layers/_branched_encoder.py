"""`BranchedEncoder`: a trunk and a branch per task from template layers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_selfaux._checks import (
    check_choice,
    check_same_tasks,
    error,
    is_iterable,
)
from keras_selfaux._registry import naming_config, register
from keras_selfaux._rematerialization import plain_call
from keras_selfaux._stacking import LayerStack, NamedNodes, Nodes, Template
from keras_selfaux._types import Layer, Task, Tensor
from keras_selfaux.layers._paths import (
    checked_names,
    path_table,
    plan_stages,
)


@register
class BranchedEncoder(keras.layers.Layer):
    """Maps inputs to one feature tensor per task along a table of paths.

    Every stage is a template layer; its modules are copies of the template
    by config, each with fresh weights, or with the template's weights if it
    was built. A module is one set of weights, whichever tasks run through
    it, and what several tasks have in common is computed once. Modules of
    a stage run as one batched product where their kind allows it.

    Args:
        stages: List of template layers or models, one per stage. They are
            copied; the templates themselves are never trained.
        paths: Which modules a task's features run through: `"half"` shares
            the first half of the stages (rounded up), an integer k the
            first k (0 makes single-task networks, `len(stages)` one shared
            encoder), and a table `{task: [module index per stage]}` says it
            in full. Defaults to `"half"`.
        tasks: Names of the tasks. Not needed where `paths` is a table, nor
            within a `SelfAuxModel`, which knows the tasks from its heads.
        stack: Whether equal modules are stacked where possible. Defaults
            to `True`; `False` gives the same numbers, more slowly.

    Call arguments:
        inputs: Whatever the first stage takes.
        training: Whether dropout and the like are active.

    Returns:
        A dict `{task: features}`.

    Example:

    >>> encoder = keras_selfaux.layers.BranchedEncoder(
    ...     [keras.layers.Dense(32, "relu"), keras.layers.Dense(16, "relu")],
    ...     paths=1,
    ...     tasks=["seg", "depth"],
    ... )
    >>> features = encoder(np.ones((5, 8)))
    >>> features["depth"].shape
    TensorShape([5, 16])

    Raises:
        ValueError: If `paths` does not fit `stages` or `tasks`.
    """

    def __init__(
        self,
        stages: Sequence[Layer],
        paths: str | int | Mapping[Task, Sequence[int]] = "half",
        *,
        tasks: Iterable[Task] | None = None,
        stack: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = stages
        stages = list(stages) if is_iterable(stages) else []
        if not stages or not all(
            isinstance(stage, keras.layers.Layer) for stage in stages
        ):
            raise error(
                "`stages` must be a list of Keras layers, one per stage.",
                received=f"stages={given!r:.200}",
                remedy="Pass template layers such as [Dense(32), Dense(32)].",
            )
        check_choice("stack", stack, (True, False))
        if tasks is not None:
            tasks = checked_names("tasks", tasks)
        self._templates = [Template(stage) for stage in stages]
        self._paths = paths
        self._stack = stack
        self.stage_stacks: list[LayerStack] = []
        self._table = path_table(paths, tasks, len(stages))
        if self._table and tasks is not None:
            check_same_tasks("paths", self._table, tasks)
        self._plans, self._place = plan_stages(self._table, len(stages))

    def bind(self, tasks: Iterable[Task]) -> None:
        """Tells an encoder made without `tasks` what the tasks are."""
        if not self._table:
            num_stages = len(self._templates)
            self._table = path_table(self._paths, tasks, num_stages)
            self._plans, self._place = plan_stages(self._table, num_stages)
        check_same_tasks("paths", self._table, tasks)

    @property
    def tasks(self) -> list[Task]:
        """The names of the tasks, in the order of the path table."""
        return list(self._table)

    @property
    def stages(self) -> list[Layer]:
        """The template layers."""
        return [template.layer for template in self._templates]

    @property
    def path_table(self) -> dict[Task, list[int]]:
        """The modules that each task's features run through, by stage."""
        return {task: list(path) for task, path in self._table.items()}

    def build(self, input_shape: Any) -> None:
        """Creates the modules of every stage."""
        if not self._table:
            raise error(
                f"`paths`={self._paths!r} does not say what the tasks are.",
                received="tasks=None",
                remedy="Pass `tasks=[...]` or a path table.",
            )
        shape = input_shape
        for template, plan in zip(self._templates, self._plans, strict=True):
            stack = LayerStack(
                [template] * plan.num_modules,
                stack=self._stack,
                trainable=self.trainable,
            )
            stack.build(shape)
            self.stage_stacks.append(stack)
            shape, _ = stack.output_spec

    def features(self, inputs: Any, training: bool | None = None) -> NamedNodes:
        """Returns the features as nodes, for layers that read many at once."""
        return self.branches(self.trunk(inputs, training), training)

    def trunk(self, inputs: Any, training: bool | None = None) -> Nodes:
        """Runs the first stages, as far as all tasks share them.

        Returns:
            One node: the inputs themselves if no stage is shared by all.
        """
        return self._run(Nodes(items=[inputs]), 0, self.num_shared, training)

    def branches(
        self, nodes: Nodes, training: bool | None = None
    ) -> NamedNodes:
        """Runs the other stages on what `trunk` returned."""
        nodes = self._run(nodes, self.num_shared, len(self._plans), training)
        return NamedNodes([nodes], {t: (0, i) for t, i in self._place.items()})

    @property
    def num_shared(self) -> int:
        """How many of the first stages all tasks share."""
        widths = [len(plan.reads) for plan in self._plans]
        return next((i for i, n in enumerate(widths) if n > 1), len(widths))

    def tasks_by_module(self) -> list[list[list[Task]]]:
        """Returns, by stage and module, the tasks that run through it."""
        stages = []
        for stage, plan in enumerate(self._plans):
            modules = sorted({path[stage] for path in self._table.values()})
            users: list[list[Task]] = [[] for _ in range(plan.num_modules)]
            for task, path in self._table.items():
                users[modules.index(path[stage])].append(task)
            stages.append(users)
        return stages

    def _run(
        self, nodes: Nodes, first: int, end: int, training: bool | None
    ) -> Nodes:
        stages = zip(self.stage_stacks, self._plans, strict=True)
        for stack, plan in list(stages)[first:end]:
            nodes = stack.run(
                nodes,
                reads=plan.reads,
                modules=plan.modules,
                training=training,
            )
        return nodes

    def call(
        self, inputs: Any, training: bool | None = None
    ) -> dict[Task, Tensor]:
        """Returns `{task: features}`."""
        features = self.features(inputs, training)
        return {task: features[task] for task in self._table}

    # Parts may be recomputed, not the whole.
    rematerialized_call = staticmethod(plain_call)

    def plain_features(self, inputs: Any) -> dict[Task, Any]:
        """Applies ordinary Keras layers with this encoder's weights.

        Args:
            inputs: A symbolic tensor, as given by `keras.Input`.

        Returns:
            `{task: symbolic features}`. Later training leaves the new
            layers as they are.
        """
        nodes = [inputs]
        for number, (stack, plan) in enumerate(
            zip(self.stage_stacks, self._plans, strict=True)
        ):
            layers: dict[int, Layer] = {}
            results = []
            for read, module in zip(plan.reads, plan.modules, strict=True):
                if module not in layers:
                    name = f"stage_{number}_module_{module}"
                    layers[module] = stack.plain_layer(
                        module, name, nodes[read]
                    )
                results.append(layers[module](nodes[read]))
            nodes = results
        return {task: nodes[place] for task, place in self._place.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns the config, with the templates serialised."""
        return {
            **super().get_config(),
            "stages": [template.serialize() for template in self._templates],
            "paths": self._table or self._paths,
            "stack": self._stack,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BranchedEncoder":
        """Returns the encoder that `get_config` described."""
        with naming_config(cls, config):
            stages = keras.saving.deserialize_keras_object(config["stages"])
            return cls(**{**config, "stages": stages})
