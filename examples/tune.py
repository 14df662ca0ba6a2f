"""Hyperparameters for robot arms: what to share, and who teaches whom.

KerasTuner searches for the number of shared layers, the self-auxiliaries,
the weighting and the learning rates with the least validation loss on
RobotArm. What it finds and plain multi-task learning (mtl, which is what the
hyperparameters are by default) are then trained with all seeds and compared
on the test data.

Prints the test error of every arm, writes it with all trials to results.json,
and draws the tuned model's weights and the changes against mtl.

A search that was interrupted goes on when the same command runs again. Several
processes or machines share a search if KERASTUNER_TUNER_ID,
KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are set for each and all have
the same --output_dir; see
https://keras.io/keras_tuner/guides/distributed_tuning. The chief compares
and writes, when the workers are done.

  python examples/tune.py --demo
  python examples/tune.py --tuner=hyperband --max_trials=100
  python examples/tune.py --gains=results/robot_arm/gains.json
"""

import dataclasses
import math
import os
import pathlib
import time
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner

import keras_selfaux
from keras_selfaux.discovery import SelfAuxHyperModel, TransferGains

if __package__:
    from examples import _report, _runner, _runs
    from examples._array_data import ArrayData
    from examples._methods import Method
    from examples._robot_arm import RobotArm
else:
    import _report
    import _runner
    import _runs
    from _array_data import ArrayData
    from _methods import Method
    from _robot_arm import RobotArm

BASELINE = "mtl"
TUNED = "tuned"

Results = dict[str, Any]

TUNERS = {
    "random": keras_tuner.RandomSearch,
    "bayesian": keras_tuner.BayesianOptimization,
    "hyperband": keras_tuner.Hyperband,
    "grid": keras_tuner.GridSearch,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RobotArm):
    """The settings of a run; each is a flag.

    Raises:
        ValueError: If a value is out of its range.
    """

    DEMO: ClassVar[dict[str, Any]] = {
        "num_tasks": 4,
        "epochs": 100,
        "max_trials": 5,
        "seeds": (0, 1),
        "jit_compile": False,  # it would take longer to compile
    }

    tuner: str = _runner.setting(
        "random",
        "How to search; bayesian needs scikit-learn.",
        choices=tuple(TUNERS),
    )
    max_trials: int = _runner.setting(
        30,
        "How many candidates to train at most. An interrupted search may go "
        "on with more.",
    )
    gains: str | None = _runner.setting(
        None,
        "A JSON file of TransferGains, such as examples/robot_arm.py writes "
        "with --method=saal_e. With it, the self-auxiliaries with a gain "
        "above a threshold are a choice, too.",
    )
    output_dir: str = _runner.setting(
        "results/tune", "Folder for results.json, the pictures and the trials."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        if type(self.max_trials) is not int or self.max_trials < 1:
            raise _runner.error(
                "`max_trials` must be a positive number.",
                received=f"max_trials={self.max_trials!r}",
                remedy="Pass a positive number.",
            )
        _runner.check_one_machine(self)
        self.load_gains()  # raises if they do not fit

    def load_gains(self) -> TransferGains | None:
        """Returns the gains, if there are any.

        Raises:
            ValueError: If the file is missing, or not of these arms.
        """
        if self.gains is None:
            return None
        if not pathlib.Path(self.gains).is_file():
            raise _runner.error(
                "`gains` must be a JSON file written by TransferGains.to_json.",
                received=f"gains={self.gains!r}, which is no file",
                remedy="Pass one, or leave it out.",
            )
        gains = TransferGains.from_json(self.gains)
        self.check_tasks(self.gains, gains.tasks)
        return gains


class ArmHyperModel(SelfAuxHyperModel):
    """Builds the candidates and trains them, each from the same seed.

    A trial comes out the same, whether or not the search was interrupted.

    Args:
        config: The settings of the run.
        data: What `RobotArm.load_data` returned.
    """

    def __init__(self, config: Config, data: ArrayData) -> None:
        rate = config.learning_rate
        super().__init__(
            config.stages(),
            {task: spec.head() for task, spec in config.specs.items()},
            loss="mse",
            input_shape=config.input_shape,
            gains=config.load_gains(),
            learning_rates=(rate / 10, rate * 10),
            jit_compile=config.jit_compile,
            steps_per_execution=config.steps_per_execution,
        )
        self._config = config
        self._data = data

    def build(self, hp: Any) -> keras_selfaux.SelfAuxModel:
        """Returns a compiled model."""
        keras.utils.set_random_seed(self._config.seeds[0])
        return super().build(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains a model on batches in the order of the seed."""
        config = self._config
        callbacks = [_runner.Progress("trial")] if config.verbose else []
        # KerasTuner's own save the weights after every better epoch, which
        # takes longer than the epoch, and hyperband alone has need of them.
        if config.tuner == "hyperband":
            callbacks += kwargs["callbacks"]
        arguments = {
            **kwargs,
            "steps_per_epoch": self._data.steps_per_epoch,
            "shuffle": False,  # the data set does that
            "validation_data": self._data.held_out("validation"),
            "meta_data": self._data.endless("validation"),
            "callbacks": callbacks,
            "verbose": 0,  # what `search` is given is for the trials
        }
        batches = self._data.endless("train")
        return super().fit(hp, model, batches, *args, **arguments)

    def method(self, hp: Any) -> Method:
        """Returns how a model with these hyperparameters is trained."""
        model = self.build(hp)
        return Method(
            paths=hp.get("num_shared"),
            auxiliaries=model.transfer_graph,
            weighting=keras_selfaux.weightings.serialize(model.weighting),
        )


def is_worker() -> bool:
    """Whether this process only helps a chief, as KerasTuner says."""
    is_chief = "chief" in os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and not is_chief


def claim(config: Config) -> None:
    """Makes the output folder that of a search, or finds that it is already.

    Raises:
        FileExistsError: If it has a search with other settings.
    """
    free = {"max_trials", "jit_compile"}
    parts = set() if is_worker() else {"search", "runs"}
    _runner.claim_output(config, free, parts)


def make_tuner(config: Config, hypermodel: ArmHyperModel) -> keras_tuner.Tuner:
    """Returns the tuner, with the trials that there are already."""
    arguments: dict[str, Any] = {
        "objective": "val_loss",  # of the primaries alone
        "directory": config.output_dir,
        "project_name": "search",
        "distribution_strategy": config.make_strategy()
        if config.strategy != "none"
        else None,
        "seed": config.seeds[0] + 1,  # it takes 0 for none
    }
    if config.tuner == "hyperband":
        arguments["max_epochs"] = config.epochs
    else:
        arguments["max_trials"] = config.max_trials
    tuner = TUNERS[config.tuner](hypermodel, **arguments)
    tuner.oracle.max_trials = config.max_trials  # for hyperband as well
    return tuner


def trials_of(tuner: keras_tuner.Tuner) -> list[Results]:
    """Returns what is known of every trial."""
    return [
        {
            "trial": number,
            "status": trial.status,
            # JSON knows no NaN.
            "val_loss": trial.score
            if trial.score is not None and math.isfinite(trial.score)
            else None,
            "hyperparameters": trial.hyperparameters.values,
        }
        for number, trial in sorted(tuner.oracle.trials.items())
    ]


def best_hyperparameters(
    tuner: keras_tuner.Tuner,
) -> keras_tuner.HyperParameters:
    """Returns the hyperparameters with the least validation loss.

    Raises:
        RuntimeError: If no trial has ended well.
    """
    (trial,) = tuner.oracle.get_best_trials()
    if trial.status != "COMPLETED":
        raise RuntimeError(
            "No trial ended well. Received: "
            f"{trial.message or 'no finite validation loss'}. Lower "
            "--learning_rate, in the middle of the range, or raise "
            "--max_trials."
        )
    return trial.hyperparameters


def retrain(
    config: Config,
    candidates: dict[str, keras_tuner.HyperParameters],
    hypermodel: ArmHyperModel,
    data: ArrayData,
) -> list[Results]:
    """Trains every candidate with every seed, and evaluates it on test data."""
    methods = {name: hypermodel.method(hp) for name, hp in candidates.items()}
    folder = pathlib.Path(config.output_dir) / "runs"
    runs = []
    for seed in config.seeds:
        for name, method in methods.items():
            rate = candidates[name].get("learning_rate")
            own = dataclasses.replace(config, learning_rate=rate)
            run = _runs.Run(folder, name, seed)
            runs.append(run.train(own, method, data))
    return runs


def run(config: Config) -> Results | None:
    """Searches, compares what was found with mtl, and writes it.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds; `None` in a worker.

    Raises:
        FileExistsError: If there are results that may not be overwritten, or
            a search with other settings.
        ImportError: If pictures are wanted and Matplotlib is missing, or the
            tuner needs something that is.
        DivergedError: If training diverged.
    """
    start = time.perf_counter()
    results_path = _runner.check_output(config)
    _runner.check_plots(config)
    claim(config)
    data = config.load_data()
    hypermodel = ArmHyperModel(config, data)
    tuner = make_tuner(config, hypermodel)
    tuner.search(epochs=config.epochs, verbose=int(config.verbose))
    if is_worker():
        return None
    best = best_hyperparameters(tuner)
    candidates = {BASELINE: keras_tuner.HyperParameters(), TUNED: best}
    runs = retrain(config, candidates, hypermodel, data)
    results = {
        "config": dataclasses.asdict(config),
        "versions": _runner.versions(),
        "hyperparameters": {n: hp.values for n, hp in candidates.items()},
        "summary": _report.summarize(runs, BASELINE, config.directions),
        "runs": runs,
        "trials": trials_of(tuner),
        "seconds": round(time.perf_counter() - start, 2),
    }
    _runner.write_json(results_path, results, allow_nan=True)
    report(config, results, results_path)
    return results


def report(config: Config, results: Results, path: pathlib.Path) -> None:
    """Prints and draws what came out."""
    print("\nThe best of", len(results["trials"]), "trials:")
    for name, value in results["hyperparameters"][TUNED].items():
        shown = f"{value:.3g}" if isinstance(value, float) else value
        print(f"  {name}: {shown}")
    seeds = ", ".join(map(str, config.seeds))
    title = f"{config.TITLE}, seeds {seeds}"
    print(_report.table(results["summary"], title, config.directions, BASELINE))
    if config.plots:
        tuned = [run for run in results["runs"] if run["method"] == TUNED]
        best = min(tuned, key=lambda run: run["val_loss"])
        _report.draw(results["summary"], best, path.parent)
    print(f"Wrote {path} after {results['seconds']:.0f} s.")


if __name__ == "__main__":
    _runner.main(Config, run)
