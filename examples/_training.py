"""Training and enumeration, for any problem and method."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras

import keras_selfaux
from keras_selfaux.callbacks import CollapsedWeights, FiniteLosses
from keras_selfaux.discovery import TransferGains, enumerate_transfer

if __package__:
    from examples import _runner
    from examples._methods import Method
    from examples._problem import Data, Problem
else:
    import _runner
    from _methods import Method
    from _problem import Data, Problem

Results = dict[str, Any]

OF_NO_CONCERN = (
    "output_dir",
    "export_dir",
    "method",
    "weighting",
    "aggregator",
    "auxiliaries",
    "search",
    "threshold",
    "standard_errors",
    "every_n_steps",
)
"""Settings of runners that an enumeration does not depend on."""


def build_model(
    problem: Problem,
    method: Method,
    tasks: Sequence[str],
    num_steps: int,
    name: str | None = None,
) -> keras_selfaux.SelfAuxModel:
    """Returns a network, compiled.

    Args:
        problem: The settings of the run.
        method: How to train it.
        tasks: Names of its tasks.
        num_steps: For how many steps it is going to train.
        name: Its own name.
    """
    specs = {task: problem.specs[task] for task in tasks}
    encoder = keras_selfaux.layers.BranchedEncoder(
        problem.stages(), method.paths
    )
    heads = {task: spec.head() for task, spec in specs.items()}
    model = keras_selfaux.SelfAuxModel(
        encoder, heads, method.auxiliaries, name=name
    )
    # XLA cannot make variables, so they must be there before the first step.
    model.build(problem.input_shape)
    options: dict[str, Any] = {}
    if problem.steps_per_execution is not None:
        options["steps_per_execution"] = problem.steps_per_execution
    model.compile(
        problem.optimizer(num_steps),
        loss={task: spec.loss for task, spec in specs.items()},
        metrics={task: spec.metrics() for task, spec in specs.items()},
        weighting=method.weighting,
        aggregator=method.aggregator,
        # TensorFlow cannot always compile what replicas tell each other.
        jit_compile=problem.jit_compile
        and model.distribute_strategy.num_replicas_in_sync == 1,
        **options,
    )
    return model


def enumerate_pairs(
    problem: Problem,
    data: Data,
    directory: pathlib.Path,
    strategy: str = "auto",
    paths: int | str = "half",
) -> TransferGains | None:
    """Trains every task alone and every pair.

    An enumeration that was interrupted goes on where it was.

    Args:
        problem: The settings of the run.
        data: Its data.
        directory: Where the enumeration is kept.
        strategy: As for `enumerate_transfer`.
        paths: How many stages two tasks share.
    """
    method = Method(paths=paths)
    claim_enumeration(problem, directory)
    num_steps = problem.epochs * data.steps_per_epoch
    return enumerate_transfer(
        lambda tasks: build_model(problem, method, tasks, num_steps),
        problem.tasks,
        data.splits["train"],
        data.splits["validation"],
        epochs=problem.epochs,
        batch_size=problem.batch_size,
        seeds=problem.seeds,
        strategy=strategy,
        directory=directory,
        overwrite=problem.overwrite,
        verbose=problem.verbose,
    )


def claim_enumeration(problem: Problem, directory: pathlib.Path) -> None:
    """Raises if a folder has an enumeration with other settings.

    `enumerate_transfer` cannot tell images from others of the same form.

    Raises:
        FileExistsError: If it does.
    """
    claimed = dataclasses.replace(problem, output_dir=str(directory))
    _runner.claim_output(claimed, OF_NO_CONCERN)


def train(
    problem: Problem,
    method: Method,
    name: str,
    seed: int,
    data: Data,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras_selfaux.SelfAuxModel, Results]:
    """Trains a method once; the best epoch is chosen on validation data.

    Args:
        problem: The settings of the run.
        method: How to train.
        name: The method's name.
        seed: The seed of initial weights and of the order of samples.
        data: What `problem.load_data` returned.
        callbacks: More callbacks for `fit`.

    Returns:
        The model with the weights of its best epoch, and the results.

    Raises:
        DivergedError: If training diverged.
    """
    keras.utils.set_random_seed(seed)
    tasks = problem.tasks
    num_steps = problem.epochs * data.steps_per_epoch
    with problem.make_strategy().scope():
        model = build_model(problem, method, tasks, num_steps, name)
    best = keras.callbacks.EarlyStopping(
        monitor="val_loss",  # of the primaries alone
        patience=problem.epochs,
        restore_best_weights=True,
    )
    if problem.verbose:
        progress = _runner.Progress(f"{name:<7}  seed {seed}")
        callbacks = [*callbacks, progress]
    stopwatch = Stopwatch()
    watchers = [FiniteLosses(), CollapsedWeights(), best, stopwatch]
    try:
        model.fit(
            data.endless("train"),
            steps_per_epoch=data.steps_per_epoch,
            epochs=problem.epochs,
            shuffle=False,  # the data set does that
            validation_data=data.held_out("validation"),
            meta_data=data.endless("validation"),
            callbacks=[*watchers, *callbacks],
            verbose=0,
        )
    except ValueError as found:
        tracker = model.loss_tracker
        if tracker.training_steps().bad or tracker.evaluation_steps().bad:
            raise _runner.DivergedError(
                f"Training {name!r} with seed {seed} diverged. {found}"
            ) from found
        raise
    logs = model.evaluate(data.held_out("test"), verbose=0, return_dict=True)
    weights: dict[str, dict[str, float]] = {task: {} for task in tasks}
    for (source, target), weight in model.task_weights.items():
        weights[target][source] = weight
    return model, {
        "method": name,
        "seed": seed,
        "scores": problem.scores(logs),
        "best_epoch": best.best_epoch + 1,
        "val_loss": float(best.best),
        "task_weights": weights,
        "parameters": model.inference_model.count_params(),
        "seconds": round(stopwatch.seconds, 2),
    }


class Stopwatch(keras.callbacks.Callback):
    """Measures how long training takes, the time before interruptions too.

    Attributes:
        seconds: How long it took, to the end of the last epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts."""
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reads the time."""
        now = time.perf_counter()
        self.seconds += now - self._last
        self._last = now

    def get_state(self) -> dict[str, float]:
        """Returns the time so far, of the steps of this epoch as well."""
        self.on_epoch_end(0)
        return {"seconds": self.seconds}

    def set_state(self, state: dict[str, float]) -> None:
        """Goes on from the time of an earlier run."""
        self.seconds = state["seconds"]
        self._last = time.perf_counter()
