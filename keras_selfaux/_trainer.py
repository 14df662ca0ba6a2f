"""`MultiTaskTrainer`: compiling, training and evaluating, as Keras does."""

import inspect
from contextlib import AbstractContextManager
from typing import Any

import keras
from keras import ops

from keras_selfaux import (
    _compile,
    _evaluation,
    _execution,
    _step,
    aggregators,
    weightings,
)
from keras_selfaux._batch import Batch, as_batch
from keras_selfaux._checks import check_choice, error
from keras_selfaux._epoch_ends import with_epoch_ends
from keras_selfaux._finite_report import with_report
from keras_selfaux._logs import PackedLogs
from keras_selfaux._meta_data import (
    PairedBatch,
    adapted_fit_arguments,
    check_rows,
    shape_of_inputs,
)
from keras_selfaux._objective import Objective
from keras_selfaux._registry import naming_config
from keras_selfaux._replay import (
    ReplayingCallbacks,
    backup_among,
    during_fit,
    flat_callbacks,
)
from keras_selfaux._steps_per_execution import (
    default_steps,
    steps_per_execution,
)
from keras_selfaux._task_gradients import RowPlan, build_rules, make_plan
from keras_selfaux._types import Tensor
from keras_selfaux._verdict import CHOICES, REDUCE_LOSS_SCALE
from keras_selfaux.distribution import (
    SavedByChief,
    check_compilation,
    check_created_in_scope,
    naming_lost_workers,
)
from keras_selfaux.distribution._keras_multi_worker import (
    adapted_step,
    local_batch,
)
from keras_selfaux.distribution._one_by_one import one_by_one
from keras_selfaux.metrics import CompiledMetrics, LossTracker


class MultiTaskTrainer(SavedByChief):
    """What `SelfAuxModel` does between `compile` and the end of `fit`.

    A subclass has an `encoder`, a `head_bank` and a `transfer_graph`, and
    returns features as nodes by `features(inputs, training)`.
    """

    _replay: ReplayingCallbacks | None = None

    # Compiling.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *args: Any,
        weighting: Any = "equal",
        aggregator: Any = None,
        on_non_finite: str = "continue",
        **kwargs: Any,
    ) -> None:
        """Configures the model for training.

        Args:
            optimizer: As in Keras.
            loss: A loss for all tasks, or `{task: loss}`.
            loss_weights: A number per task, `{task: number}`, that belongs
                to the task's loss: it scales the losses of the task's
                clones as well, and `loss` in evaluation. Defaults to 1.
            metrics: A list of metrics for every task, or `{task: metrics}`.
                Missing labels are left out. Equal metrics of several tasks
                are computed at once where they are means over samples, but
                for metric objects given by task: these keep their state, so
                that they can be asked for their result.
            weighted_metrics: The same, weighted by the sample weights.
            *args: Further arguments of `keras.Model.compile`.
            weighting: The rule for task weights: a name, a config dict or a
                `weightings.Weighting`. Defaults to `"equal"`. An instance
                that was compiled before, or is given to several replicas,
                is copied by its config; so is an aggregator.
            aggregator: The rule that turns the gradients of several tasks
                into one update of what they share: a name, a config dict,
                an `aggregators.Aggregator`, or `None` for their sum.
                Defaults to `None`.
            on_non_finite: What becomes of a training step in which a loss,
                or a gradient, is NaN or infinite. `"continue"`: it is taken
                as any other. `"skip"`: it leaves everything as if its batch
                had not been there: weights, the states of layers, optimizer,
                weighting and aggregator, and running losses and metrics.
                `"reduce_loss_scale"`: the same, but that the optimizer is
                Keras's `LossScaleOptimizer`, made of the one given unless it
                is one already, and its loss scale is halved. Steps skipped
                are warned of at the end of the epoch; see
                `callbacks.FiniteLosses`. Defaults to `"continue"`.
            **kwargs: Further arguments of `keras.Model.compile`. By default
                `fit` takes 16 `steps_per_execution` where the model is
                small (up to 1,048,576 parameters) and no callback acts on
                every step; with `steps_per_epoch`, `validation_steps` or the
                `every_n_steps` of `callbacks.LookaheadAffinity`, the
                largest common divisor up to 16.

        Raises:
            ValueError: If losses, metrics or loss weights do not fit the
                tasks, if there is no such weighting or aggregator, or if
                `on_non_finite` is none of these.
        """
        check_choice("on_non_finite", on_non_finite, CHOICES)
        tasks = self.transfer_graph.tasks
        given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        losses = _compile.losses_by_task(loss, tasks)
        weights = _compile.loss_weights_by_task(loss_weights, tasks)
        with self.distribute_strategy.scope():
            optimizer = _compile.optimizer_of(optimizer)
            if on_non_finite == REDUCE_LOSS_SCALE:
                optimizer = _compile.loss_scaling(optimizer)
            rule = _compile.fresh(weightings.get(weighting))
            rule.build(self.transfer_graph)
            combiner = _compile.fresh(aggregators.get(aggregator))
            if combiner is not None:
                combiner.build(len(tasks))
        unweighted = _compile.metrics_by_task(metrics, tasks)
        weighted = _compile.metrics_by_task(weighted_metrics, tasks)
        super().compile(optimizer, None, None, {}, {}, *args, **kwargs)
        self._loss_tracker = None  # `LossTracker` does its work
        self.loss = loss
        compiled_metrics = CompiledMetrics(
            type(self._compile_metrics),
            unweighted,
            weighted,
            tasks,
            kept=_compile.given_metrics([metrics, weighted_metrics]),
        )
        # Like an optimizer, these belong to the compiled state, not to the
        # layers. Writing past `__setattr__` keeps Keras from tracking them.
        self.__dict__.update(
            weighting=rule,
            aggregator=combiner,
            _row_plan=(None, None),
            objective=Objective(losses),
            edge_scales=[weights[source] for source, _ in rule.edges],
            on_non_finite=on_non_finite,
            loss_tracker=LossTracker(
                tasks,
                list(weights.values()),
                rule.edges,
                keeps_weights=rule.is_momentary,
            ),
            _compile_metrics=compiled_metrics,
            # The 2nd positional argument after those above.
            _chooses_steps=not args[1:] and "steps_per_execution" not in kwargs,
            functions_by_steps={},
            compile_arguments={
                **given,
                "weighting": rule,
                "aggregator": combiner,
                "on_non_finite": on_non_finite,
            },
        )

    @property
    def metrics(self) -> list[Any]:
        """All metrics: losses first, then those of `compile`."""
        metrics: list[Any] = super().metrics
        if not self.compiled:
            return metrics
        return [self.loss_tracker, *metrics]

    def _flatten_metrics_in_order(self, logs: dict[str, Any]) -> Any:
        # As in Keras, `loss` comes first; a tf.function sorts its outputs.
        losses = [f"{task}_loss" for task in self.output_names]
        first = [name for name in ("loss", *losses) if name in logs]
        values = [logs[k] for k in (*first, *sorted(set(logs) - set(first)))]
        return values[0] if len(values) == 1 else values

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what `compile` was given, serialised."""
        config: dict[str, Any] = super().get_compile_config()
        if config:
            for name, value in self.compile_arguments.items():
                config[name] = keras.saving.serialize_keras_object(value)
            if self._chooses_steps:
                config.pop("steps_per_execution", None)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` described."""
        with naming_config(type(self), config):
            self.compile(**keras.saving.deserialize_keras_object(config))
            if self.built:
                self._build_compiled()

    def _build_compiled(self) -> None:
        """Creates the compiled state that depends on the weights' shapes."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        self.row_plan()

    def row_plan(self) -> RowPlan | None:
        """Returns what the tasks' gradients are taken by, if apart."""
        if self.aggregator is None and not self.weighting.needs_rows:
            return None
        # Layers may have been frozen since the last step was traced.
        trained = [id(variable) for variable in self.trainable_variables]
        before, plan = self._row_plan
        if before != trained:
            plan = make_plan(self)
            build_rules(self, plan)
            # Past `__setattr__`, which would look for layers to track.
            self.__dict__["_row_plan"] = trained, plan
        found: RowPlan | None = plan
        return found

    @property
    def state_variables(self) -> list[Any]:
        """All variables that training moves, but for those of metrics.

        Weights, statistics, states of random generators, and those of the
        optimizer, the weighting and the aggregator.
        """
        rules = [rule for rule in (self.weighting, self.aggregator) if rule]
        found = [
            *self.variables,
            *self.optimizer.variables,
            *(variable for rule in rules for variable in rule.state_variables),
        ]
        return list({id(variable): variable for variable in found}.values())

    # Training.

    def fit(self, *args: Any, meta_data: Any = None, **kwargs: Any) -> Any:
        """Trains the model.

        Args:
            *args: As for `keras.Model.fit`.
            meta_data: Held-out data for a weighting that needs them: a
                `tf.data.Dataset` or `PyDataset` of batches, or a tuple
                `(x, y)` or `(x, y, sample_weight)` of arrays, shuffled and
                batched like the training data. Repeated as needed; ignored
                by weightings that need none.
            **kwargs: As for `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If the weighting needs `meta_data` and there is none.
        """
        signature = inspect.signature(keras.Model.fit)
        arguments = signature.bind(self, *args, **kwargs).arguments
        del arguments["self"]
        self._assert_compile_called("fit")
        _check_rows(arguments)
        self._prepare_training("fit", arguments.get("x"))
        if self.weighting.needs_meta_data:
            self._check_meta_data(meta_data)
            arguments = adapted_fit_arguments(arguments, meta_data)
        arguments["callbacks"] = with_epoch_ends(
            arguments.get("callbacks"), [self.weighting, self.aggregator]
        )
        arguments["callbacks"] = with_report(arguments["callbacks"], self)
        steps = self.steps_per_execution
        if self._chooses_steps and steps == 1:
            steps = default_steps(self, arguments)
        if backup_among(arguments["callbacks"]) is not None:
            arguments = self._with_replay(arguments)
        try:
            with (
                steps_per_execution(self, steps),
                during_fit(arguments["callbacks"]),
                self._naming_lost_workers(),
            ):
                return super().fit(**arguments)
        finally:
            self.__dict__["_replay"] = None

    def _with_replay(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments of a `fit` that can go on where it was."""
        arguments = adapted_fit_arguments(arguments)
        num_batches = arguments["x"].num_batches
        self.__dict__["_replay"] = ReplayingCallbacks(
            flat_callbacks(arguments["callbacks"]),
            self,
            initial_epoch=arguments.get("initial_epoch", 0),
            verbose=arguments.get("verbose", "auto"),
            epochs=arguments.get("epochs", 1),
            steps=arguments.get("steps_per_epoch") or num_batches,
        )
        return {**arguments, "callbacks": self._replay}

    def _should_eval(self, epoch: int, validation_freq: Any) -> bool:
        # What was evaluated before the interruption is not evaluated again.
        if self._replay is not None and self._replay.is_replaying:
            return False
        due: bool = super()._should_eval(epoch, validation_freq)
        return due

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the primaries, as `keras.Model.evaluate` does."""
        # A callback of `fit` may ask for so many steps and not one more;
        # the validation of `fit` itself goes by the steps of `fit`.
        own = kwargs.get("_use_cached_eval_dataset", False)
        steps = self._steps(within_fit=own)
        with steps_per_execution(self, steps), self._naming_lost_workers():
            return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Returns `{task: predictions}`, as `keras.Model.predict` does."""
        steps = self._steps(within_fit=False)
        with steps_per_execution(self, steps), self._naming_lost_workers():
            return super().predict(*args, **kwargs)

    def _naming_lost_workers(self) -> AbstractContextManager[None]:
        return naming_lost_workers(self.distribute_strategy)

    def _steps(self, *, within_fit: bool) -> int:
        chosen = self.compiled and self._chooses_steps and not within_fit
        steps: int = 1 if chosen else self.steps_per_execution
        return steps

    def train_on_batch(
        self, x: Any, *args: Any, meta_data: Any = None, **kwargs: Any
    ) -> Any:
        """Takes one step on one batch.

        Args:
            x: Inputs, as for `keras.Model.train_on_batch`.
            *args: As for `keras.Model.train_on_batch`.
            meta_data: The meta batch `(x, y)` or `(x, y, sample_weight)`,
                for a weighting that needs one.
            **kwargs: As for `keras.Model.train_on_batch`.

        Returns:
            The loss and metrics, as in Keras.
        """
        signature = inspect.signature(keras.Model.train_on_batch)
        arguments = signature.bind(self, x, *args, **kwargs).arguments
        self._assert_compile_called("train_on_batch")
        _check_rows(arguments)
        self._prepare_training("train_on_batch", x)
        if not self.weighting.needs_meta_data:
            return super().train_on_batch(x, *args, **kwargs)
        self._check_meta_data(meta_data)
        if arguments.get("class_weight") is not None:
            raise error(
                "`class_weight` cannot be used together with `meta_data`.",
                received=f"class_weight={arguments['class_weight']!r}",
                remedy="Pass `sample_weight` instead.",
            )
        batch = keras.utils.pack_x_y_sample_weight(
            x, arguments.get("y"), arguments.get("sample_weight")
        )
        return super().train_on_batch(
            PairedBatch(batch, meta_data),
            return_dict=arguments.get("return_dict", False),
        )

    def _prepare_training(self, method: str, x: Any) -> None:
        """Creates all variables: a step that did would be traced twice."""
        self._assert_compile_called(method)
        shape = None if self.built else shape_of_inputs(x)
        with self.distribute_strategy.scope():
            if shape is not None:
                self.build(shape)
            check_created_in_scope(self.variables, self.distribute_strategy)
            _compile.check_optimizer(self.optimizer, self)
            if self.built:
                self._build_compiled()

    def _check_meta_data(self, meta_data: Any) -> None:
        if meta_data is None:
            raise error(
                f"Weighting {self.weighting.name!r} needs `meta_data`.",
                received="meta_data=None",
                remedy="Pass held-out data, for example "
                "`meta_data=validation_data`.",
            )

    def as_batch(self, data: Any) -> Batch:
        """Sorts `(x, y)` or `(x, y, sample_weight)` by task."""
        return as_batch(data, self.transfer_graph.tasks)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one training step; see `_step.train`."""
        return _step.train(self, data)

    def make_train_function(self, force: bool = False) -> Any:
        """Makes what `fit` calls for `steps_per_execution` steps."""
        if force:
            self.functions_by_steps.clear()
        before: Any = getattr(self, "train_function", None)
        super().make_train_function(force)
        made: Any = getattr(self, "train_function", None)
        plain = type(self).train_step is MultiTaskTrainer.train_step
        if made is not before and plain and _execution.can_loop(self):
            made = _execution.looped_train_function(self, made)
            self.train_function = made
        return made

    def _make_function(self, step_function: Any) -> Any:
        # Keras makes the functions of training and of evaluation by this.
        strategy = self.distribute_strategy
        check_compilation(self.jit_compile is True, strategy)
        is_packed = not self.run_eagerly and strategy.num_replicas_in_sync == 1
        logs = PackedLogs()
        step = logs.step(step_function) if is_packed else step_function
        function = super()._make_function(adapted_step(step, strategy))
        if is_packed:
            return lambda iterator: logs.unpack(function(iterator))
        return one_by_one(self, function)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates one batch on the primaries."""
        return _evaluation.test(self, data)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the primaries' loss: what `evaluate` calls `loss`."""
        batch = self.as_batch((x, y, sample_weight))
        losses = _evaluation.primary_losses(self, batch, y_pred)
        count = len(self.transfer_graph.tasks)
        shares = _evaluation.shares_of(losses, self.edge_scales[:count])
        added = _evaluation.regularization(_evaluation.kept_losses(self))
        return ops.sum(shares) + added

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Tensor]:
        """Updates the compiled metrics and returns all metrics' results."""
        batch = self.as_batch((x, y, sample_weight))
        present = _evaluation.primary_losses(self, batch, y_pred).present
        _evaluation.update_metrics(self, batch, y_pred, present)
        logs: dict[str, Tensor] = self.get_metrics_result()
        return logs

    def build_from_batch(self, batch: Any) -> None:
        """Creates the states of metrics, as far as they are not there yet.

        Args:
            batch: What an iterator of `fit` gives, by replica under a
                strategy.
        """
        local = self.distribute_strategy.experimental_local_results
        batch = keras.tree.map_structure(lambda leaf: local(leaf)[0], batch)
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=batch)

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = self.distribute_strategy
        batch = iterator and local_batch(iterator, strategy)
        if batch is None:
            super()._maybe_symbolic_build(iterator, data_batch)
            return
        with strategy.scope():
            self._symbolic_build(data_batch=batch)

    def _symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        # Under a strategy Keras builds from a batch; it must not see pairs.
        if data_batch is not None:
            data_batch, _ = _step.split_pair(data_batch)
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)


def _check_rows(arguments: dict[str, Any]) -> None:
    names = ("x", "y", "sample_weight")
    check_rows(*(arguments.get(name) for name in names))
