"""Robot arms that learn from each other: asymmetric transfer on RobotArm.

Every task is a planar arm of three joints, and to be learned are the joint
angles that bring its end to a point. The arms differ in the lengths of their
links and have few samples each. Ways to learn them are compared:

  stl      a network per arm (single-task learning), the baseline
  mtl      a network with a shared trunk and a branch per arm
  saal_e   the same, with clones of heads on other branches where training
           every pair of arms says that they help
  saal_w   with a clone of every head on every other branch, and weights that
           Auto-Lambda learns on the validation data
  saal_ew  with the clones of saal_e, and learned weights of sum 1 per branch

Prints the test error of every arm, writes it with the settings to
results.json, draws the learned weights and the changes against stl, and
exports the best model, without clones, as the next version.

  python examples/robot_arm.py --demo
  python examples/robot_arm.py --method=stl,mtl --seeds=0,1,2,3,4
"""

import dataclasses
import os
import pathlib
import time
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras_selfaux

if __package__:
    from examples import _report, _robot_arm, _runner
    from examples._robot_arm import MULTI_TASK, SINGLE_TASK, Method
else:
    import _report
    import _robot_arm
    import _runner
    from _robot_arm import MULTI_TASK, SINGLE_TASK, Method

BASELINE = "stl"
PREFERRED = ("saal_w", "saal_ew", "saal_e")
"""Which method's model is exported: the first of these that was trained."""

ENUMERATED = "enumerated"
"""Stands for the graph that an enumeration finds."""

Results = dict[str, Any]
Graph = keras_selfaux.TransferGraph

METHODS = {
    BASELINE: SINGLE_TASK,
    "mtl": MULTI_TASK,
    "saal_e": Method(paths=2, auxiliaries=ENUMERATED),
    "saal_w": Method(paths=2, auxiliaries="all", weighting="auto_lambda"),
    "saal_ew": Method(
        paths=2,
        auxiliaries=ENUMERATED,
        weighting={
            "class_name": "AutoLambda",
            "config": {"normalize": "branch"},
        },
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(_robot_arm.RobotArmSettings):
    """The settings of a run; each is a flag.

    Raises:
        ValueError: If a value is out of its range.
    """

    DEMO: ClassVar[dict[str, Any]] = {
        "epochs": 200,
        "seeds": (0, 1),
        "method": ("stl", "mtl", "saal_w"),
    }

    method: tuple[str, ...] = _runner.setting(
        tuple(METHODS),
        f"Methods, separated by commas, from {', '.join(METHODS)}.",
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
        "or a JSON file such as examples/discover.py writes. stl, the "
        "baseline, keeps its own.",
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
                remedy="Leave them out, or add another method.",
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
        self.load_graph(self.auxiliaries)  # raises if it does not fit

    def resolve(self, name: str) -> Method:
        """Returns a method, with the overrides applied to it."""
        method = METHODS[name]
        if name == BASELINE:
            return method
        auxiliaries: Any = self.auxiliaries or method.auxiliaries
        if auxiliaries not in ("all", "none", ENUMERATED):
            auxiliaries = self.load_graph(auxiliaries)
        return dataclasses.replace(
            method,
            auxiliaries=auxiliaries,
            weighting=self.weighting or method.weighting,
            aggregator=self.aggregator,
        )


def enumerated_graph(
    config: Config, data: dict[str, _robot_arm.Split]
) -> Graph:
    """Trains every arm alone and every pair; writes gains and graph."""
    folder = pathlib.Path(config.output_dir)
    gains = _robot_arm.enumerate_arms(config, data, "forest")
    gains.to_json(folder / "gains.json")
    graph = gains.graph()
    graph.to_json(folder / "graph.json")
    print(
        f"{len(graph.edges)} of {len(gains.tasks) * (len(gains.tasks) - 1)} "
        f"self-auxiliaries help. Wrote {folder / 'graph.json'}",
        flush=True,
    )
    return graph


def resolved_methods(
    config: Config, data: dict[str, _robot_arm.Split]
) -> dict[str, Method]:
    """Returns the methods by name, with their graphs found."""
    methods = {name: config.resolve(name) for name in config.method}
    wanting = [n for n, m in methods.items() if m.auxiliaries == ENUMERATED]
    if wanting:
        graph = enumerated_graph(config, data)
        for name in wanting:
            methods[name] = dataclasses.replace(
                methods[name], auxiliaries=graph
            )
    return methods


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
    data = config.load_data()
    methods = resolved_methods(config, data)
    exported = next(
        (name for name in PREFERRED if name in config.method), config.method[-1]
    )
    runs: list[Results] = []
    best_model, best_run, best_history = None, None, None
    for seed in config.seeds:
        for name, method in methods.items():
            history = _report.WeightHistory()
            model, result = _robot_arm.train(
                config, method, name, seed, data, [history]
            )
            runs.append(result)
            is_best = name == exported and (
                best_run is None or result["val_loss"] < best_run["val_loss"]
            )
            if is_best:
                best_model, best_run, best_history = model, result, history
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
        _report.draw_history(best_history, results_path.parent)
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
