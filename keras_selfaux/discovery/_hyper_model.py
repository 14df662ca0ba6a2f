"""`SelfAuxHyperModel`: what to share and who teaches whom, for KerasTuner."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_selfaux import weightings as weighting_rules
from keras_selfaux._checks import error
from keras_selfaux._compile import copied_metric
from keras_selfaux._types import Layer, Task
from keras_selfaux.discovery._gains import TransferGains
from keras_selfaux.discovery._tunable import (
    EACH_EDGE,
    GAINS,
    Range,
    check_each_edge,
    checked_depths,
    checked_range,
    gain_matrix,
    named_graphs,
    named_weightings,
    serialized_optimizer,
    thresholds,
    weighting_rates,
)
from keras_selfaux.graph import TransferGraph
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.layers._head_bank import check_heads
from keras_selfaux.model import SelfAuxModel


class SelfAuxHyperModel(keras_tuner.HyperModel):
    """Tunes a `SelfAuxModel`: sharing, self-auxiliaries, weights, rates.

    Any tuner of KerasTuner searches it, alone or as a chief with workers.
    The objective to minimise is `"val_loss"`: the sum of the primaries'
    losses times their `loss_weights`, without clones and whatever the
    weighting says, so that it means the same for all candidates. Losses that
    layers add, such as those of a `kernel_regularizer`, are in it and grow
    with the number of branches; with them, rather give the tuner a list of
    objectives, `"val_<task>_loss"` for each task, of which it takes the sum.

    The hyperparameters, of which a trial lists those that act:

    | name                         | values                                 |
    |------------------------------|----------------------------------------|
    | `"num_shared"`               | how many of the stages all tasks share |
    | `"auxiliaries"`              | a name of `auxiliaries`, or `"gains"`  |
    |                              | or `"each_edge"`, if asked for         |
    | `"threshold"`                | with `"gains"`: an edge is there if    |
    |                              | its gain is greater                    |
    | `"edge/<source>-><target>"`  | with `"each_edge"`: if an edge is there|
    | `"weighting"`                | a name of `weightings`                 |
    | `"<weighting>/learning_rate"`| with this weighting, if it has one     |
    | `"learning_rate"`            | that of the optimizer                  |

    By default all are as in plain multi-task learning where that is among
    the choices: the first half of the stages is shared, `auxiliaries` and
    `weightings` are the first ones given, and learning rates in the middle
    of their range.

    The thresholds to choose from are 0 and the deciles of the gains, one for
    each different graph. On a continuous scale, a few large gains would make
    most thresholds the same graph.

    An error that ends training before its first step, such as missing
    `meta_data`, ends the search: the next candidate would not mend it, or
    all of a kind would silently fail. Later ones, such as those of
    `callbacks.FiniteLosses`, fail their trial alone.

    Args:
        stages: The encoder's stages, a list of template layers; see
            `layers.BranchedEncoder`. Templates are copied for each trial.
            Those that were built lend it their weights.
        heads: `{task: layer}`: templates of the heads; see `SelfAuxModel`.
        loss: A loss for all tasks, or `{task: loss}`.
        metrics: Metrics for all tasks, or `{task: metrics}`. Defaults to
            `None`.
        input_shape: Shape of a batch of inputs, such as `(None, 32)`. With
            it, models are built before `fit`: self-auxiliaries that do not
            fit their targets' features are found at once, KerasTuner can
            refuse models beyond a `max_model_size`, and what Hyperband goes
            on with keeps the state of its optimizer. Defaults to `None`.
        num_shared: Numbers of stages to share. Defaults to `None`: all from
            0 (a network per task) to `len(stages)` (one for all).
        auxiliaries: `"all"` and `"none"`, or `{name: auxiliaries}` with what
            `SelfAuxModel` takes: those or a `TransferGraph` or edges.
            Defaults to `("none", "all")`.
        gains: `TransferGains`, or an array `[target, source]` in the order
            of `heads`, to choose edges by. Defaults to `None`.
        each_edge: Whether to decide on every edge by itself, for at most 5
            tasks. Defaults to `False`.
        weightings: Names, config dicts or instances of weightings, which go
            by their own names, or `{name: weighting}`. Defaults to
            `("equal", "auto_lambda")`.
        learning_rates: Range `(low, high)` of the learning rate, on a
            logarithmic scale; a number fixes it. Defaults to `(1e-4, 1e-2)`.
        weighting_learning_rates: `{name: range or number}` for weightings
            that have a learning rate. Those without an entry range from a
            tenth to ten times their own. Defaults to `None`: all do.
        optimizer: A name, a config dict or an instance, of which every trial
            gets a copy with its learning rate, or a function that takes a
            learning rate and returns an optimizer. Defaults to `"adam"`.
        jit_compile: As for `compile`. Defaults to `"auto"`.
        name: Name of the hypermodel. Defaults to `None`.
        **compile_arguments: Further arguments of `SelfAuxModel.compile`,
            such as `aggregator` or `loss_weights`. Give small networks a
            `steps_per_execution`: what `fit` would choose by itself gives
            way to KerasTuner, which asks to be called at every step.

    Raises:
        ValueError: If an argument does not fit the others.

    Example:

    >>> hypermodel = keras_selfaux.discovery.SelfAuxHyperModel(
    ...     [keras.layers.Dense(32, "relu") for _ in range(3)],
    ...     {task: keras.layers.Dense(1) for task in ("seg", "depth")},
    ...     loss="mse",
    ... )
    >>> tuner = keras_tuner.RandomSearch(hypermodel, "val_loss", max_trials=20)
    >>> tuner.search(
    ...     x, y, epochs=10, validation_data=held_out, meta_data=held_out
    ... )
    >>> best = tuner.get_best_hyperparameters()[0]
    >>> model = hypermodel.build(best)
    """

    def __init__(
        self,
        stages: Sequence[Layer],
        heads: Mapping[Task, Layer],
        loss: Any,
        metrics: Any = None,
        *,
        input_shape: Any = None,
        num_shared: Iterable[int] | None = None,
        auxiliaries: Iterable[str] | Mapping[str, Any] = ("none", "all"),
        gains: TransferGains | Any = None,
        each_edge: bool = False,
        weightings: Iterable[Any] | Mapping[str, Any] = (
            "equal",
            "auto_lambda",
        ),
        learning_rates: Range | float = (1e-4, 1e-2),
        weighting_learning_rates: Mapping[str, Range | float] | None = None,
        optimizer: Any = "adam",
        jit_compile: bool | str = "auto",
        name: str | None = None,
        **compile_arguments: Any,
    ) -> None:
        super().__init__(name=name)
        check_heads(heads)
        self._heads = dict(heads)
        self._all = TransferGraph.complete(heads)
        self._stages = BranchedEncoder(stages, paths=0).stages
        self._num_shared = checked_depths(num_shared, len(self._stages))
        self._graphs = named_graphs(auxiliaries, self._all.tasks)
        self._gains = gain_matrix(gains, self._all.tasks)
        self._thresholds = thresholds(self._gains)
        self._each_edge = check_each_edge(each_edge, self._all)
        self._weightings = named_weightings(weightings)
        self._learning_rates = checked_range("learning_rates", learning_rates)
        self._weighting_rates = weighting_rates(
            self._weightings, weighting_learning_rates or {}
        )
        self._optimizer = serialized_optimizer(optimizer)
        self._input_shape = input_shape
        self._compile_arguments = {
            "loss": loss,
            "metrics": metrics,
            "jit_compile": jit_compile,
            **compile_arguments,
        }
        self._choices = list(self._graphs)
        if gains is not None:
            self._choices.append(GAINS)
        if each_edge:
            self._choices.append(EACH_EDGE)
        if not self._choices:
            raise error(
                "`auxiliaries` must offer at least one choice.",
                received=f"auxiliaries={auxiliaries!r}",
                remedy='Pass ("none", "all"), or `gains`.',
            )
        self._check_models()

    # What KerasTuner calls.

    def build(self, hp: Any) -> SelfAuxModel:
        """Returns a compiled model.

        Args:
            hp: The `keras_tuner.HyperParameters` of a trial.
        """
        num_shared = hp.Choice(
            "num_shared", self._num_shared, default=self._default_depth()
        )
        graph = self._tuned_graph(hp)
        weighting = self._tuned_weighting(hp)
        rate = _tuned_rate(hp, "learning_rate", self._learning_rates)
        with _fatal():
            return self._model(num_shared, graph, weighting, rate)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains a model.

        Args:
            hp: The `keras_tuner.HyperParameters` of the trial.
            model: What `build` returned.
            *args: As for `SelfAuxModel.fit`.
            **kwargs: As for `SelfAuxModel.fit`, with `meta_data` for the
                weightings that need them; the others leave them alone.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            keras_tuner.errors.FatalError: If the arguments do not fit.
        """
        before = int(model.optimizer.iterations)
        try:
            return model.fit(*args, **kwargs)
        except (TypeError, ValueError):
            if int(model.optimizer.iterations) > before:
                raise
            with _fatal():
                raise

    # From hyperparameters to a model.

    def _default_depth(self) -> int:
        """Returns what `paths="half"` shares, if that is a choice."""
        half: int = BranchedEncoder(
            self._stages, "half", tasks=["one", "other"]
        ).num_shared
        return half if half in self._num_shared else self._num_shared[0]

    def _tuned_graph(self, hp: Any) -> TransferGraph:
        choice = hp.Choice("auxiliaries", self._choices)
        # KerasTuner has to see all hyperparameters, whatever was chosen.
        threshold, edges = None, []
        if self._gains is not None:
            with hp.conditional_scope("auxiliaries", [GAINS]):
                threshold = hp.Choice(
                    "threshold", self._thresholds, default=0.0
                )
        if self._each_edge:
            with hp.conditional_scope("auxiliaries", [EACH_EDGE]):
                edges = [
                    (source, target)
                    for source, target in self._all.edges
                    if hp.Boolean(f"edge/{source}->{target}")
                ]
        if choice == GAINS:
            return self._graph_of_gains(threshold)
        if choice == EACH_EDGE:
            return TransferGraph(self._all.tasks, edges)
        return self._graphs[choice]

    def _graph_of_gains(self, threshold: Any) -> TransferGraph:
        return TransferGraph.from_matrix(
            self._all.tasks, self._gains, threshold
        )

    def _tuned_weighting(self, hp: Any) -> dict[str, Any]:
        choice = hp.Choice("weighting", list(self._weightings))
        weighting = self._weightings[choice]
        for name, limits in self._weighting_rates.items():
            with hp.conditional_scope("weighting", [name]):
                rate = _tuned_rate(hp, f"{name}/learning_rate", limits)
            if choice == name:
                weighting = _with_learning_rate(weighting, rate)
        return weighting

    def _model(
        self,
        num_shared: int,
        graph: TransferGraph,
        weighting: dict[str, Any],
        learning_rate: float,
    ) -> SelfAuxModel:
        encoder = BranchedEncoder(self._stages, num_shared)
        model = SelfAuxModel(encoder, self._heads, graph)
        # Metrics given as objects would keep the state of an earlier trial.
        metrics = keras.tree.map_structure(
            copied_metric, self._compile_arguments["metrics"]
        )
        model.compile(
            self._optimizer_at(learning_rate),
            weighting=weighting,
            **{**self._compile_arguments, "metrics": metrics},
        )
        if self._input_shape is not None:
            model.build(self._input_shape)
            # With all variables there, Hyperband finds a place for those of
            # the trial that it goes on from, the optimizer's included.
            model._prepare_training("build", None)
        return model

    def _optimizer_at(self, learning_rate: float) -> Any:
        if not callable(self._optimizer):
            return keras.optimizers.deserialize(
                _with_learning_rate(self._optimizer, learning_rate)
            )
        made = self._optimizer(learning_rate)
        if not isinstance(made, keras.optimizers.Optimizer):
            raise error(
                "`optimizer` must return a Keras optimizer.",
                received=f"{made!r:.100}",
                remedy="Pass, say, keras.optimizers.AdamW.",
            )
        return made

    # What can be known before a search.

    def _check_models(self) -> None:
        """Compiles what may differ in its errors."""
        middle = _middle(self._learning_rates)
        possible = list(self._graphs.values())
        if self._gains is not None:
            possible += map(self._graph_of_gains, self._thresholds)
        if self._each_edge:
            possible += [TransferGraph.empty(self._all.tasks), self._all]
        # A weighting may have something to say of edges that are not there.
        for config in self._weightings.values():
            for graph in possible:
                weighting_rules.get(config).build(graph)
        edges = {edge: None for graph in possible for edge in graph.edges}
        self._model(
            max(self._num_shared),  # the fewest copies of stages
            TransferGraph(self._all.tasks, edges),
            next(iter(self._weightings.values())),
            middle,
        )


@contextlib.contextmanager
def _fatal() -> Iterator[None]:
    """Turns errors into those that end a search, with the same message.

    KerasTuner would note any other error and go on with the next trial.
    """
    errors = keras_tuner.errors
    try:
        yield
    except errors.FatalError:
        raise
    except ValueError as problem:
        raise errors.FatalValueError(str(problem)) from problem
    except TypeError as problem:
        raise errors.FatalTypeError(str(problem)) from problem


def _tuned_rate(hp: Any, name: str, limits: Range) -> Any:
    low, high = limits
    if low == high:
        return low
    return hp.Float(name, low, high, sampling="log", default=_middle(limits))


def _middle(limits: Range) -> float:
    return math.sqrt(limits[0] * limits[1])


def _with_learning_rate(config: dict[str, Any], rate: float) -> dict[str, Any]:
    return {**config, "config": {**config["config"], "learning_rate": rate}}
