"""Robot arms that learn from each other: asymmetric transfer on RobotArm.

Every task is a planar arm of three joints, and to be learned are the joint
angles that bring its end to a point. The arms differ in the lengths of their
links and have few samples each. Three ways to learn them are compared:

  stl     a network per arm (single-task learning), the baseline
  mtl     a network with a shared trunk and a branch per arm
  saal_w  the same, with a clone of every head on every other branch, and
          weights that Auto-Lambda learns on the validation data

Prints the test error of every arm, writes it with the settings to
results.json, draws the learned weights and the changes against stl, and
exports the best model, without clones, as the next version.

  python examples/robot_arm.py --demo
  python examples/robot_arm.py --method=stl,mtl --seeds=0,1,2,3,4
"""

import dataclasses
import math
import os
import pathlib
import time
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import keras_selfaux
from keras_selfaux.datasets import RobotArmConfig, load_robot_arm

if __package__:
    from examples import _report, _runner
else:
    import _report
    import _runner

NUM_ANGLES = 3
NUM_INPUTS = 2
UNITS = 32
BASELINE = "stl"

Results = dict[str, Any]
Split = tuple[np.ndarray, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Method:
    """What tells one method from another.

    Attributes:
        paths: How many of the encoder's three layers the tasks share.
        auxiliaries: "all", "none" or a `TransferGraph`.
        weighting: Name of the rule for task weights.
        aggregator: Name of the rule for conflicting gradients, if any.
    """

    paths: int
    auxiliaries: str | keras_selfaux.TransferGraph
    weighting: str
    aggregator: str | None = None


METHODS = {
    # Adam works element by element, so that networks which share nothing
    # train together as they would one by one.
    "stl": Method(paths=0, auxiliaries="none", weighting="equal"),
    "mtl": Method(paths=2, auxiliaries="none", weighting="equal"),
    "saal_w": Method(paths=2, auxiliaries="all", weighting="auto_lambda"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(_runner.Settings):
    """The settings of a run; each is a flag.

    Raises:
        ValueError: If a value is out of its range.
    """

    DEMO: ClassVar[dict[str, Any]] = {"epochs": 200, "seeds": (0, 1)}

    method: tuple[str, ...] = _runner.setting(
        tuple(METHODS), "Methods, separated by commas, from stl, mtl, saal_w."
    )
    weighting: str | None = _runner.setting(
        None,
        "The rule for task weights, by its name in docs/methods.md, instead "
        "of the methods' own. stl, the baseline, keeps its own.",
    )
    aggregator: str | None = _runner.setting(
        None,
        "The rule for conflicting gradients, by its name in docs/methods.md. "
        "stl, which has no conflicts, has none.",
    )
    auxiliaries: str | None = _runner.setting(
        None,
        "Which clones to train with, instead of the methods' own: all, none, "
        "or a JSON file written by TransferGraph.to_json. stl, the baseline, "
        "keeps its own.",
    )
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
    output_dir: str = _runner.setting(
        "results/robot_arm", "Folder for results.json and the pictures."
    )
    export_dir: str = _runner.setting(
        "saved_models/robot_arm",
        "Folder for the exported model; it is written into the next free "
        "version number below.",
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        unknown = [name for name in self.method if name not in METHODS]
        if unknown or not self.method or len({*self.method}) < len(self.method):
            raise _runner.error(
                f"`method` must be names from {list(METHODS)}, each once.",
                received=f"method={list(self.method)}",
                remedy="Pass names separated by commas.",
            )
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
        self._check_overrides()

    def _check_overrides(self) -> None:
        # Both raise if there is no such name.
        if self.weighting is not None:
            keras_selfaux.weightings.get(self.weighting)
        keras_selfaux.aggregators.get(self.aggregator)
        overrides = {self.weighting, self.aggregator, self.auxiliaries}
        overrides.discard(None)
        if overrides and self.method == (BASELINE,):
            raise _runner.error(
                "`weighting`, `aggregator` and `auxiliaries` do not concern "
                "stl, which stays the baseline.",
                received=f"method={list(self.method)} with "
                f"{', '.join(sorted(overrides))}",
                remedy="Leave them out, or add mtl or saal_w.",
            )
        if self.auxiliaries in (None, "all", "none"):
            return
        if not pathlib.Path(self.auxiliaries).is_file():
            raise _runner.error(
                "`auxiliaries` must be all, none or a JSON file written by "
                "TransferGraph.to_json.",
                received=f"auxiliaries={self.auxiliaries!r}, which is no file",
                remedy="Pass one of these.",
            )
        graph = keras_selfaux.TransferGraph.from_json(self.auxiliaries)
        tasks = [f"arm_{index}" for index in range(self.num_tasks)]
        if set(graph.tasks) != set(tasks):
            raise _runner.error(
                f"The graph in '{self.auxiliaries}' must have the tasks "
                f"arm_0 to {tasks[-1]}.",
                received=f"tasks={list(graph.tasks)}",
                remedy="Make it for these tasks, or change --num_tasks.",
            )

    def resolve(self, name: str) -> Method:
        """Returns a method, with the overrides applied to it."""
        method = METHODS[name]
        if name == BASELINE:
            return method
        auxiliaries: Any = self.auxiliaries or method.auxiliaries
        if auxiliaries not in ("all", "none"):
            auxiliaries = keras_selfaux.TransferGraph.from_json(auxiliaries)
        return dataclasses.replace(
            method,
            auxiliaries=auxiliaries,
            weighting=self.weighting or method.weighting,
            aggregator=self.aggregator,
        )


def build_model(
    config: Config, name: str, tasks: list[str], steps_per_epoch: int
) -> keras_selfaux.SelfAuxModel:
    """Returns the network of a method, compiled.

    Args:
        config: The settings of the run.
        name: Name of the method.
        tasks: Names of the tasks.
        steps_per_epoch: Steps of an epoch; all are taken in one execution.
    """
    method = config.resolve(name)
    encoder = keras_selfaux.layers.BranchedEncoder(
        [keras.layers.Dense(UNITS, "relu") for _ in range(3)],
        paths=method.paths,
    )
    heads = {task: keras.layers.Dense(NUM_ANGLES) for task in tasks}
    model = keras_selfaux.SelfAuxModel(
        encoder, heads, method.auxiliaries, name=name
    )
    # XLA cannot make variables, so they must be there before the first step.
    model.build((None, NUM_INPUTS))
    model.compile(
        keras.optimizers.Adam(config.learning_rate),
        loss="mse",
        weighting=method.weighting,
        aggregator=method.aggregator,
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_epoch,
    )
    return model


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
    config: Config, name: str, seed: int, data: dict[str, Split]
) -> tuple[keras_selfaux.SelfAuxModel, Results]:
    """Trains a method once; the best epoch is chosen on validation data.

    Returns:
        The model with the weights of its best epoch, and the results.

    Raises:
        RuntimeError: If training diverged.
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(seed)
    num_samples = len(data["train"][0])
    steps_per_epoch = math.ceil(num_samples / config.batch_size)
    tasks = list(data["train"][1])
    model = build_model(config, name, tasks, steps_per_epoch)
    best = keras.callbacks.EarlyStopping(
        monitor="val_loss",  # of the primaries alone
        patience=config.epochs,
        restore_best_weights=True,
    )
    callbacks = [best]
    if config.verbose:
        callbacks.append(_runner.Progress(f"{name:<6}  seed {seed}"))
    num_held_out = len(data["validation"][0])
    validation, test = (
        tf.data.Dataset.from_tensor_slices(data[split]).batch(num_held_out)
        for split in ("validation", "test")
    )
    model.fit(
        shuffled(data["train"], config.batch_size),
        steps_per_epoch=steps_per_epoch,
        epochs=config.epochs,
        shuffle=False,  # the data set does that
        validation_data=validation.cache(),
        meta_data=shuffled(data["validation"], config.batch_size),
        callbacks=callbacks,
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


def run(config: Config) -> Results:
    """Trains all methods with all seeds, and writes what came out.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds.

    Raises:
        FileExistsError: If there are results that may not be overwritten.
        ImportError: If pictures are wanted and Matplotlib is missing.
        RuntimeError: If training diverged, or the export answers otherwise
            than the model.
    """
    start = time.perf_counter()
    results_path = _runner.check_output(config)
    _runner.check_plots(config)
    print_plan(config)
    data = load_robot_arm(
        config.num_tasks, config.train_per_task, data_dir=config.data_dir
    )
    exported = "saal_w" if "saal_w" in config.method else config.method[-1]
    runs: list[Results] = []
    best_model, best_run = None, None
    for seed in config.seeds:
        for name in config.method:
            model, result = train(config, name, seed, data)
            runs.append(result)
            is_best = name == exported and (
                best_run is None or result["val_loss"] < best_run["val_loss"]
            )
            if is_best:
                best_model, best_run = model, result
    results = {
        "config": dataclasses.asdict(config),
        "versions": _runner.versions(),
        "summary": _report.summarize(runs, BASELINE),
        "runs": runs,
    }
    # Written at once, lest training was for nothing if the rest fails.
    _runner.write_json(results_path, results)
    over = f"mean ± sd over {len(config.seeds)} seeds"
    if len(config.seeds) == 1:
        over = f"seed {config.seeds[0]}"
    title = f"Test RMSE (standardised angles), {over}; lower is better"
    print(_report.table(results["summary"], title, BASELINE))
    if config.plots:
        _report.draw(results["summary"], best_run, results_path.parent)
    x = data["test"][0]
    path, difference = _runner.export_and_check(
        best_model, config.export_dir, x
    )
    print(
        f"Exported {exported} of seed {best_run['seed']} to {path}; read back, "
        f"it answers like the model (largest difference {difference:.1g})."
    )
    results["export"] = {
        "path": str(path),
        "method": exported,
        "seed": best_run["seed"],
        "largest_difference": difference,
    }
    results["seconds"] = round(time.perf_counter() - start, 2)
    _runner.write_json(results_path, results)
    print(f"Wrote {results_path} after {results['seconds']:.0f} s.")
    if config.demo:
        print("This was a shortened run. For the full one:")
        print("  python examples/robot_arm.py --output_dir=results/full")
    return results


def print_plan(config: Config) -> None:
    """Prints what is going to happen."""
    kind = "A shortened run: " if config.demo else ""
    print(
        f"{kind}{', '.join(config.method)} on {config.num_tasks} arms, "
        f"{config.epochs} epochs, "
        f"seeds {', '.join(map(str, config.seeds))}.",
        flush=True,
    )


if __name__ == "__main__":
    _runner.main(Config, run)
