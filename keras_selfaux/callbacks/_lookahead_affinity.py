"""`LookaheadAffinity`: how much each task's steps help the others."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_selfaux._affinity import measure, plan_of_primaries
from keras_selfaux._checks import (
    check_choice,
    check_count,
    check_positive,
    error,
)
from keras_selfaux._execution import compiled, outside_strategy
from keras_selfaux._meta_data import check_data
from keras_selfaux._types import Task
from keras_selfaux.callbacks._endless_batches import endless_batches


class LookaheadAffinity(keras.callbacks.Callback):
    """Measures during one run of `fit` how much tasks help one another.

    Every `every_n_steps` steps it takes a step of plain gradient descent on
    each task's loss alone, on the variables that several tasks share, looks
    at what became of every task's loss, and takes the step back:
    `Z[t, s] = 1 - L_t(θ - α ∇L_s(θ)) / L_t(θ)`. Above 0, task `s` helps
    task `t`. The losses are those of the primaries, unweighted by ω (but
    with their `loss_weights`), in training mode, with the same dropout
    masks before and after. Nothing of it moves the model, its metrics or
    its optimizer: training goes on as it would without.

    Reference: Fifty et al., 2021, "Efficiently Identifying Task Groupings
    for Multi-Task Learning" (arXiv 2109.04617), Eq. 1.

    The first-order form, `α <∇L_s, ∇L_t> / L_t`, is what `Z` is for a short
    step. It takes no step and costs less. Float32 resolves `Z` to about
    1e-7 and half precision to about 1e-3; the first-order form is not
    limited so: prefer it where `Z` is that small.

    Args:
        train_data: The data to take the steps on, commonly those of `fit`,
            whose batches no callback gets to see: a `tf.data.Dataset` or
            `PyDataset` of batches, or a tuple `(x, y)` or `(x, y,
            sample_weight)` of arrays. One batch for each measurement, over
            and over. A `tf.data.Dataset` that shuffles with a state of its
            own gives `fit` other batches when it is read here, too: make
            one for each.
        meta_data: The data to judge losses by, in the same forms. Defaults
            to the very batch that the steps were taken on.
        every_n_steps: Measures after every so many steps of `fit`. Where
            `fit` takes several steps at a time, at its first return to
            Python from then on. Defaults to 100.
        exact: Whether to measure `affinity`, too. Defaults to `True`.
        learning_rate: The length α of a step. Defaults to the optimizer's
            current learning rate.
        batch_size: The number of samples in a batch of arrays. Defaults to
            32.
        seed: An integer by which batches of arrays are drawn. Defaults to 0.

    Attributes:
        tasks: The names of the T tasks, in the order of the matrices.
        affinity: Array of shape `(T, T)`, float64, `[target, source]`: the
            mean `Z`. NaN everywhere with `exact=False`.
        first_order: The same for the first-order form.
        cosine: The same for the cosine of the two gradients.
        num_measurements: How many measurements were taken.

    An entry is the mean over those measurements where both tasks had labels
    and the value was finite; NaN if there was none. A loss of 0 or below
    has no `Z`. Every call of `fit` starts afresh.

    Raises:
        ValueError: If an argument is not as described; in `fit`, if the
            model's tasks share no variables, if it is not a
            `SelfAuxModel`, if it has a `MultiOptimizer` and no
            `learning_rate` is given, or if data are empty.

    Example:

    >>> affinities = keras_selfaux.callbacks.LookaheadAffinity((x, y))
    >>> model.fit(x, y, callbacks=[affinities])
    >>> graph = keras_selfaux.TransferGraph.from_matrix(
    ...     affinities.tasks, affinities.affinity
    ... )
    """

    # So that `fit` may take several steps at a time; see
    # `_steps_per_execution`.
    counts_steps = True

    def __init__(
        self,
        train_data: Any,
        meta_data: Any = None,
        *,
        every_n_steps: int = 100,
        exact: bool = True,
        learning_rate: float | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_data("train_data", train_data)
        if meta_data is not None:
            check_data("meta_data", meta_data)
        check_count("every_n_steps", every_n_steps, least=1)
        check_choice("exact", exact, (True, False))
        if learning_rate is not None:
            check_positive("learning_rate", learning_rate)
        check_count("batch_size", batch_size, least=1)
        check_count("seed", seed, least=0)
        self.every_n_steps = every_n_steps
        self._data = {"train_data": train_data, "meta_data": meta_data}
        self._exact = exact
        self._learning_rate = learning_rate
        self._batch_size = batch_size
        self._seed = seed
        self._made_for: Any = None
        self._reset(())

    def _reset(self, tasks: tuple[Task, ...]) -> None:
        self.tasks = tasks
        self.num_measurements = 0
        self._means = [_Mean(len(tasks)) for _ in range(3)]
        self._steps = self._steps_before = 0

    @property
    def affinity(self) -> np.ndarray:
        """Mean of the exact affinities, `[target, source]`."""
        return self._means[0].result()

    @property
    def first_order(self) -> np.ndarray:
        """Mean of the first-order affinities, `[target, source]`."""
        return self._means[1].result()

    @property
    def cosine(self) -> np.ndarray:
        """Mean of the gradients' cosines, `[target, source]`."""
        return self._means[2].result()

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets what was measured and gets ready for this model."""
        model = self.model
        if not hasattr(model, "transfer_graph"):
            raise error(
                "`LookaheadAffinity` needs a model with several tasks.",
                received=type(model).__name__,
                remedy="Use it in `fit` of a `SelfAuxModel`.",
            )
        self._check_optimizer()
        self._reset(tuple(model.transfer_graph.tasks))
        # What was compiled serves until `compile` is called, or a layer frozen.
        trained = [id(variable) for variable in model.trainable_variables]
        made_for = model, model.objective, trained
        if made_for != self._made_for:
            self._measured = self._measuring_function()
            self._made_for = made_for
        generators = np.random.default_rng(self._seed).spawn(2)
        self._batches = [
            None
            if data is None
            else endless_batches(name, data, self._batch_size, generator)
            for (name, data), generator in zip(
                self._data.items(), generators, strict=True
            )
        ]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the steps of the epochs before."""
        self._steps_before = self._steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Measures if a measurement is due."""
        # The last return to Python in an epoch may announce too many steps.
        most = (self.params or {}).get("steps") or math.inf
        steps = self._steps_before + int(min(batch + 1, most))
        is_due = steps // self.every_n_steps > self._steps // self.every_n_steps
        self._steps = steps
        if is_due:
            self._measure()

    def get_state(self) -> dict[str, Any]:
        """Returns what was measured so far."""
        return {
            "means": [vars(mean) for mean in self._means],
            "num_measurements": self.num_measurements,
            "steps": [self._steps, self._steps_before],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what an interrupted run has measured."""
        for mean, values in zip(self._means, state["means"], strict=True):
            vars(mean).update(values)
        self.num_measurements = state["num_measurements"]
        self._steps, self._steps_before = state["steps"]
        for _ in range(self.num_measurements):
            self._next_batches()

    def _next_batches(self) -> list[Any]:
        return [None if b is None else next(b) for b in self._batches]

    def _measure(self) -> None:
        rate = self._learning_rate
        if rate is None:
            rate = self.model.optimizer.learning_rate
        batches = self._next_batches()
        rate = ops.convert_to_tensor(rate, "float32")
        # On the whole batch, even where `fit` splits its own over replicas.
        found = outside_strategy(self._measured, *batches, rate)
        for mean, values in zip(self._means, found, strict=True):
            if values is not None:
                mean.add(ops.convert_to_numpy(values))
        self.num_measurements += 1

    def _measuring_function(self) -> Any:
        model, plan = self.model, plan_of_primaries(self.model)

        def measured(train_data: Any, meta_data: Any, rate: Any) -> Any:
            return measure(
                model, plan, train_data, meta_data, rate, exact=self._exact
            )

        return compiled(model, measured)

    def _check_optimizer(self) -> None:
        optimizer = self.model.optimizer
        if self._learning_rate is None and isinstance(
            optimizer, keras.optimizers.MultiOptimizer
        ):
            raise error(
                "`LookaheadAffinity` needs one learning rate.",
                received="a MultiOptimizer",
                remedy="Pass `learning_rate`.",
            )


class _Mean:
    """Mean of square matrices, without entries that are NaN."""

    def __init__(self, count: int) -> None:
        self._sums = np.zeros((count, count))
        self._counts = np.zeros((count, count))

    def add(self, values: np.ndarray) -> None:
        known = np.isfinite(values)
        self._sums[known] += values[known]
        self._counts += known

    def result(self) -> np.ndarray:
        """Returns a new array, NaN where nothing was ever known."""
        counts = np.where(self._counts > 0, self._counts, np.nan)
        means: np.ndarray = self._sums / counts
        return means
