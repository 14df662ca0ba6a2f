"""What the runners on RobotArm share: settings, networks and training."""

import dataclasses
import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_selfaux
from keras_selfaux.datasets import RobotArmConfig, load_robot_arm

if __package__:
    from examples import _runner
else:
    import _runner

NUM_ANGLES = 3
NUM_INPUTS = 2
NUM_STAGES = 3
UNITS = 32

Results = dict[str, Any]
Split = tuple[np.ndarray, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobotArmSettings(_runner.Settings):
    """The settings that all runners on RobotArm have.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_tasks: int = _runner.setting(10, "Number of arms, 1 to 100.")
    train_per_task: int = _runner.setting(
        80, "Training samples of each arm, 1 to 980."
    )
    epochs: int = _runner.setting(1000, "Epochs of training.")
    batch_size: int = _runner.setting(50, "Samples per step, of all arms.")
    learning_rate: float = _runner.setting(1e-3, "Learning rate of Adam.")
    jit_compile: bool = _runner.setting(
        True, "Whether to compile the training step with XLA."
    )
    data_dir: str | None = _runner.setting(
        None,
        "Where TensorFlow Datasets keeps its data; ~/tensorflow_datasets if "
        "not given. The data is generated there on first use.",
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        for name in ("epochs", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise _runner.error(
                    f"`{name}` must be a positive number.",
                    received=f"{name}={value!r}",
                    remedy="Pass a positive number.",
                )
        # Raises if a number is out of its range.
        RobotArmConfig(
            num_tasks=self.num_tasks, train_per_task=self.train_per_task
        )

    @property
    def tasks(self) -> list[str]:
        """The names of the arms."""
        return [f"arm_{index}" for index in range(self.num_tasks)]

    @property
    def steps_per_epoch(self) -> int:
        """The steps of an epoch, all of which are taken in one execution."""
        return math.ceil(self.num_tasks * self.train_per_task / self.batch_size)

    def load_data(self) -> dict[str, Split]:
        """Returns the data of all arms."""
        return load_robot_arm(
            self.num_tasks, self.train_per_task, data_dir=self.data_dir
        )

    def load_graph(self, path: str) -> keras_selfaux.TransferGraph:
        """Reads a graph from a JSON file, which must be of these arms.

        Raises:
            ValueError: If it is not.
        """
        graph = keras_selfaux.TransferGraph.from_json(path)
        self.check_tasks(path, graph.tasks)
        return graph

    def check_tasks(self, path: str, tasks: Sequence[str]) -> None:
        """Raises unless a file that was read is of these arms.

        Raises:
            ValueError: If it is not.
        """
        if set(tasks) != set(self.tasks):
            raise _runner.error(
                f"'{path}' must have the tasks arm_0 to {self.tasks[-1]}.",
                received=f"tasks={list(tasks)}",
                remedy="Make it for these tasks, or change --num_tasks.",
            )


@dataclasses.dataclass(frozen=True)
class Method:
    """What tells one way to train from another.

    Attributes:
        paths: How many of the encoder's three layers the tasks share.
        auxiliaries: `"all"`, `"none"` or a `TransferGraph`.
        weighting: The rule for task weights, a name or a config.
        aggregator: The rule for conflicting gradients, if any.
    """

    paths: int
    auxiliaries: str | keras_selfaux.TransferGraph = "none"
    weighting: str | dict[str, Any] = "equal"
    aggregator: str | None = None


# Adam works element by element, so that networks which share nothing train
# together as they would one by one.
SINGLE_TASK = Method(paths=0)
MULTI_TASK = Method(paths=2)


def encoder(paths: int) -> keras_selfaux.layers.BranchedEncoder:
    """Returns three dense layers, the first `paths` of which are shared."""
    stages = [keras.layers.Dense(UNITS, "relu") for _ in range(NUM_STAGES)]
    return keras_selfaux.layers.BranchedEncoder(stages, paths)


def head() -> keras.layers.Layer:
    """Returns what maps an arm's features to its joint angles."""
    return keras.layers.Dense(NUM_ANGLES)


def build_model(
    config: RobotArmSettings,
    method: Method,
    tasks: Sequence[str],
    name: str | None = None,
) -> keras_selfaux.SelfAuxModel:
    """Returns a network, compiled.

    Args:
        config: The settings of the run.
        method: How to train it.
        tasks: Names of its tasks.
        name: Its own name.
    """
    heads = {task: head() for task in tasks}
    model = keras_selfaux.SelfAuxModel(
        encoder(method.paths), heads, method.auxiliaries, name=name
    )
    # XLA cannot make variables, so they must be there before the first step.
    model.build((None, NUM_INPUTS))
    model.compile(
        keras.optimizers.Adam(config.learning_rate),
        loss="mse",
        weighting=method.weighting,
        aggregator=method.aggregator,
        jit_compile=config.jit_compile,
        steps_per_execution=config.steps_per_epoch,
    )
    return model


def enumerate_arms(
    config: RobotArmSettings, data: dict[str, Split], strategy: str
) -> keras_selfaux.discovery.TransferGains | None:
    """Trains every arm alone and every pair, in the output folder.

    An enumeration that was interrupted goes on where it was.
    """
    return keras_selfaux.discovery.enumerate_transfer(
        lambda tasks: build_model(config, MULTI_TASK, tasks),
        config.tasks,
        data["train"],
        data["validation"],
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=config.seeds,
        strategy=strategy,
        directory=pathlib.Path(config.output_dir) / "enumeration",
        overwrite=config.overwrite,
        verbose=config.verbose,
    )


def shuffled(split: Split, batch_size: int) -> tf.data.Dataset:
    """Returns endless batches of one size, from samples in random order.

    Arrays given to `fit` would do as well, but an epoch is so short here
    that making iterators for each would take most of the time; and a last,
    smaller batch would have XLA compile the step once more.
    """
    num_samples = len(split[0])
    samples = tf.data.Dataset.from_tensor_slices(split)
    samples = samples.shuffle(num_samples).repeat()
    batches = samples.batch(min(batch_size, num_samples)).prefetch(16)
    options = tf.data.Options()
    # There is nothing to tune, and to stop tuning takes seconds.
    options.autotune.enabled = False
    return batches.with_options(options)


def train(
    config: RobotArmSettings,
    method: Method,
    name: str,
    seed: int,
    data: dict[str, Split],
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras_selfaux.SelfAuxModel, Results]:
    """Trains a method once; the best epoch is chosen on validation data.

    Args:
        config: The settings of the run.
        method: How to train.
        name: The method's name.
        seed: The seed of initial weights and of the order of samples.
        data: What `RobotArmSettings.load_data` returned.
        callbacks: More callbacks for `fit`.

    Returns:
        The model with the weights of its best epoch, and the results.

    Raises:
        RuntimeError: If training diverged.
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(seed)
    tasks = list(data["train"][1])
    model = build_model(config, method, tasks, name)
    best = keras.callbacks.EarlyStopping(
        monitor="val_loss",  # of the primaries alone
        patience=config.epochs,
        restore_best_weights=True,
    )
    if config.verbose:
        progress = _runner.Progress(f"{name:<7}  seed {seed}")
        callbacks = [*callbacks, progress]
    num_held_out = len(data["validation"][0])
    validation, test = (
        tf.data.Dataset.from_tensor_slices(data[split]).batch(num_held_out)
        for split in ("validation", "test")
    )
    model.fit(
        shuffled(data["train"], config.batch_size),
        steps_per_epoch=config.steps_per_epoch,
        epochs=config.epochs,
        shuffle=False,  # the data set does that
        validation_data=validation.cache(),
        meta_data=shuffled(data["validation"], config.batch_size),
        callbacks=[best, *callbacks],
        verbose=0,
    )
    if not math.isfinite(best.best):
        raise RuntimeError(
            f"Training {name!r} with seed {seed} diverged. Received: no "
            "finite validation loss. Lower --learning_rate."
        )
    logs = model.evaluate(test, verbose=0, return_dict=True)
    weights: dict[str, dict[str, float]] = {task: {} for task in tasks}
    for (source, target), weight in model.task_weights.items():
        weights[target][source] = weight
    return model, {
        "method": name,
        "seed": seed,
        # A task's loss is its squared error, pooled over samples and angles.
        "rmse": {task: math.sqrt(logs[f"{task}_loss"]) for task in tasks},
        "best_epoch": best.best_epoch + 1,
        "val_loss": float(best.best),
        "task_weights": weights,
        "seconds": round(time.perf_counter() - start, 2),
    }
