"""The runner of one data set: methods, seeds, table, pictures, export."""

import dataclasses
import pathlib
import shutil
from typing import Any

import keras_selfaux
from keras_selfaux.distribution import is_chief

if __package__:
    from examples import (
        _export,
        _pictures,
        _report,
        _runner,
        _runs,
        _training,
    )
    from examples._methods import BASELINE, ENUMERATED, METHODS, Method
    from examples._problem import Data, Problem
else:
    import _export
    import _pictures
    import _report
    import _runner
    import _runs
    import _training
    from _methods import BASELINE, ENUMERATED, METHODS, Method
    from _problem import Data, Problem

PREFERRED = ("saal_w", "saal_ew", "saal_e")
"""Which method's model is exported: the first of these that was trained."""

RUNS = "runs"
"""The folder of single runs, while they are not all over."""

PARTS = (RUNS, "enumeration", "tensorboard", "gains.json", "graph.json")
"""What a run writes beside its results and pictures."""

Results = dict[str, Any]
Graph = keras_selfaux.TransferGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a runner that compares methods adds to the settings of a problem.

    Goes before the problem among the bases of a runner's `Config`. It is no
    problem itself: the problem's own defaults would give way to those that
    all problems have.

    Raises:
        ValueError: If a value is out of its range.
    """

    method: tuple[str, ...] = _runner.setting(
        ("stl", "mtl", "saal_e", "saal_w", "saal_ew"),
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
    num_shared: int = _runner.setting(
        -1,
        "How many of the encoder's stages the tasks share; -1 for half of "
        "them, rounded up. stl, the baseline, shares none.",
    )
    export_dir: str = _runner.setting(
        "saved_models",
        "Folder for the exported model; it is written into the next free "
        "version number below.",
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()  # of the problem
        check_methods("method", self.method)
        # Both raise if there is no such name.
        if self.weighting is not None:
            keras_selfaux.weightings.get(self.weighting)
        keras_selfaux.aggregators.get(self.aggregator)
        if self.strategy == "multiworker" and any(
            self.resolve(name).auxiliaries == ENUMERATED for name in self.method
        ):
            raise _runner.error(
                "Several machines do not enumerate together.",
                received=f"strategy={self.strategy} with "
                f"method={list(self.method)}",
                remedy="Run examples/discover.py on one of them, and pass "
                "--auxiliaries=graph.json, or leave saal_e and saal_ew out.",
            )
        if self.num_shared < -1:
            raise _runner.error(
                "`num_shared` must be a number of stages, or -1 for half.",
                received=f"num_shared={self.num_shared!r}",
                remedy="Pass 0 or more, or leave it out.",
            )
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

    @property
    def paths(self) -> int | str:
        """How many stages the tasks share, as a `BranchedEncoder` has it."""
        return "half" if self.num_shared == -1 else self.num_shared

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
            paths=self.paths,
            auxiliaries=auxiliaries,
            weighting=self.weighting or method.weighting,
            aggregator=self.aggregator or method.aggregator,
        )


class Config(Experiment, Problem):
    """Stands for the settings of any runner that compares methods."""


def config_class(
    problem: type[Problem], name: str, demo: dict[str, Any], **defaults: Any
) -> type[Config]:
    """Returns the settings of a runner on a problem; each is a flag.

    Args:
        problem: The problem.
        name: What the folders of results and exports are called.
        demo: What `--demo` sets.
        **defaults: Further settings that start from another value.
    """
    defaults["output_dir"] = f"results/{name}"
    defaults["export_dir"] = f"saved_models/{name}"
    known = {
        f.name: f
        for kind in (problem, Experiment)
        for f in dataclasses.fields(kind)
    }
    fields = [
        (
            field,
            known[field].type,
            dataclasses.field(default=value, metadata=known[field].metadata),
        )
        for field, value in defaults.items()
    ]
    return dataclasses.make_dataclass(
        "Config",
        fields,
        bases=(Experiment, problem),
        namespace={"DEMO": demo, "__doc__": f"The settings of {name}.py."},
        frozen=True,
        kw_only=True,
    )


def check_methods(name: str, methods: tuple[str, ...]) -> None:
    """Raises unless methods are known, at least one, each once.

    Raises:
        ValueError: If they are not.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods or len({*methods}) < len(methods):
        raise _runner.error(
            f"`{name}` must be names from {list(METHODS)}, each once.",
            received=f"{name}={list(methods)}",
            remedy="Pass names separated by commas.",
        )


def enumerated_graph(config: Config, data: Data) -> Graph:
    """Trains every task alone and every pair; writes gains and graph."""
    folder = pathlib.Path(config.output_dir)
    gains = _training.enumerate_pairs(
        config, data, folder / "enumeration", paths=config.paths
    )
    gains.to_json(folder / "gains.json")
    graph = gains.graph()
    graph.to_json(folder / "graph.json")
    print(
        f"{len(graph.edges)} of {len(gains.tasks) * (len(gains.tasks) - 1)} "
        f"self-auxiliaries help. Wrote {folder / 'graph.json'}",
        flush=True,
    )
    return graph


def resolved_methods(config: Config, data: Data) -> dict[str, Method]:
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


def run(config: Config) -> Results | None:
    """Trains all methods with all seeds, and writes what came out.

    A run that was interrupted goes on where it was.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds; `None` in a worker, whose chief has it.

    Raises:
        FileExistsError: If there are results that may not be overwritten, or
            an interrupted run with other settings.
        ImportError: If pictures are wanted and Matplotlib is missing.
        OSError: If something cannot be written.
        DivergedError: If training diverged.
        ValueError: If the export answers otherwise than the model.
    """
    results_path = _runner.check_output(config)
    _runner.check_plots(config)
    folder = _runner.claim_output(
        config,
        {"export_dir"},
        PARTS,
        anew=results_path.exists(),  # it may be replaced
    )
    # Where there is no terminal, TensorFlow Datasets says nothing itself.
    print("Loading the data, which are prepared on first use ...", flush=True)
    data = config.load_data()
    print_plan(config)
    methods = resolved_methods(config, data)
    runs = [
        _runs.Run(folder / RUNS, name, seed)
        for seed in config.seeds
        for name in methods
    ]
    results = [
        run.train(
            config,
            methods[run.name],
            data,
            pictures(config, data, run),
            keep_model=True,
        )
        for run in runs
    ]
    if not is_chief():
        print("The chief has the results.")
        return None
    return finish(config, data, methods, dict(zip(runs, results, strict=True)))


def pictures(config: Config, data: Data, run: _runs.Run) -> list[Any]:
    """Returns what shows TensorBoard how a run goes, if there is to see."""
    is_wanted = config.plots and is_chief() and not run.has_ended
    if not is_wanted or not _pictures.can_show(config):
        return []
    log_dir = pathlib.Path(config.output_dir) / "tensorboard"
    return _pictures.tensorboard(
        config, data, log_dir / f"{run.name}_{run.seed}"
    )


def finish(
    config: Config,
    data: Data,
    methods: dict[str, Method],
    results_of: dict[_runs.Run, Results],
) -> Results:
    """Sums up all runs, draws, exports and writes the results."""
    folder = pathlib.Path(config.output_dir)
    summary = _report.summarize(
        list(results_of.values()), BASELINE, config.directions
    )
    title = f"{config.TITLE}, {_report.over_seeds(config.seeds)}"
    print(_report.table(summary, title, config.directions, BASELINE))
    exported = next((n for n in PREFERRED if n in methods), [*methods][-1])
    best = min(
        (run for run in results_of if run.name == exported),
        key=lambda run: results_of[run]["val_loss"],
    )
    model = best.model(config, methods[exported])
    if config.plots:
        _report.draw(summary, results_of[best], folder)
        _report.draw_history(best.history(), folder)
        _pictures.draw(config, model, data, folder)
    path, report = _export.export_and_verify(
        config, model, data, results_of[best]
    )
    print(
        f"Exported {exported} of seed {best.seed} to {path}; read back, "
        f"it answers like the model (largest difference {report.model:.1g})."
    )
    results = {
        "config": dataclasses.asdict(config),
        "versions": _runner.versions(),
        "summary": summary,
        "runs": list(results_of.values()),
        "export": {
            "path": str(path),
            "method": exported,
            "seed": best.seed,
            "largest_difference": report.model,
        },
        "seconds": round(sum(r["seconds"] for r in results_of.values()), 2),
    }
    _runner.write_json(folder / "results.json", results, allow_nan=True)
    # From here on the run is over, and needs nothing to go on from.
    shutil.rmtree(folder / RUNS, ignore_errors=True)
    (folder / "config.json").unlink(missing_ok=True)
    print(
        f"Wrote {folder / 'results.json'} after {results['seconds']:.0f} s of "
        "training."
    )
    return results


def print_plan(config: Config) -> None:
    """Prints what is going to happen."""
    kind = "A shortened run: " if config.demo else ""
    print(
        f"{kind}{', '.join(config.method)} on {len(config.tasks)} tasks, "
        f"{config.epochs} epochs, "
        f"seeds {', '.join(map(str, config.seeds))}.",
        flush=True,
    )
