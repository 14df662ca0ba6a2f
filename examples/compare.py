"""Methods on data sets, with several seeds: the table of a comparison.

Every run is written at once; what is interrupted goes on where it was when
the same command is given again, and more methods, data sets or seeds can be
added. Each data set has its own recipe; --epochs and the like override it for
all. Prints and writes (as text, Markdown and JSON) means and standard
deviations of all scores, Δm, training time and parameters.

  python examples/compare.py
  python examples/compare.py --datasets=rooms,robot_arm --seeds=0,1,2,3,4
  python examples/compare.py --datasets=nyuv2 --manual_dir=/data
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_selfaux._files import write_text
from keras_selfaux.distribution import is_chief

if __package__:
    from examples import (
        _experiment,
        _report,
        _runner,
        _runs,
        _tables,
        _training,
    )
    from examples._methods import BASELINE, ENUMERATED, METHODS, Method
    from examples._problem import Data, Problem
    from examples._robot_arm import RobotArm
    from examples.celeb_a import CelebA
    from examples.cityscapes import Cityscapes
    from examples.gloria import Gloria
    from examples.nyuv2 import NYUv2
    from examples.rooms import Rooms
else:
    import _experiment
    import _report
    import _runner
    import _runs
    import _tables
    import _training
    from _methods import BASELINE, ENUMERATED, METHODS, Method
    from _problem import Data, Problem
    from _robot_arm import RobotArm
    from celeb_a import CelebA
    from cityscapes import Cityscapes
    from gloria import Gloria
    from nyuv2 import NYUv2
    from rooms import Rooms

Results = dict[str, Any]

DATASETS: dict[str, type[Problem]] = {
    "rooms": Rooms,
    "robot_arm": RobotArm,
    "nyuv2": NYUv2,
    "cityscapes": Cityscapes,
    "celeb_a": CelebA,
    "gloria": Gloria,
}

OVERRIDES = (
    "strategy",
    "devices",
    "deterministic",
    "epochs",
    "batch_size",
    "learning_rate",
    "size",
    "weights",
    "data_dir",
    "manual_dir",
)
"""Settings that are handed on to the data sets that have them."""

MOST_COLUMNS = 12
"""Of scores in a table: where there are more, only means over tasks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(_runner.Settings):
    """The settings of a comparison; each is a flag.

    Raises:
        ValueError: If a value is out of its range.
    """

    DEMO: ClassVar[dict[str, Any]] = {
        "methods": ("stl", "mtl", "saal_w"),
        "seeds": (0,),
        "epochs": 2,
    }

    datasets: tuple[str, ...] = _runner.setting(
        ("rooms",), f"Data sets, from {', '.join(DATASETS)}."
    )
    methods: tuple[str, ...] = _runner.setting(
        tuple(METHODS), f"Methods, from {', '.join(METHODS)}."
    )
    epochs: int = _runner.setting(0, "Epochs; 0 for those of the recipe.")
    batch_size: int = _runner.setting(
        0, "Samples per step; 0 for those of the recipe."
    )
    learning_rate: float = _runner.setting(
        0.0, "The learning rate; 0 for that of the recipe."
    )
    size: str | None = _runner.setting(
        None, "Height and width of the images of rooms, such as 96x128."
    )
    weights: str | None = _runner.setting(
        None, "Weights to start from on nyuv2 and cityscapes, as they say."
    )
    data_dir: str | None = _runner.setting(
        None,
        "Where TensorFlow Datasets keeps its data; ~/tensorflow_datasets if "
        "not given.",
    )
    manual_dir: str | None = _runner.setting(
        None, "Where the data is that was fetched by hand."
    )
    output_dir: str = _runner.setting(
        "results/compare", "Folder for the runs and the tables."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        _experiment.check_methods("methods", self.methods)
        unknown = [name for name in self.datasets if name not in DATASETS]
        if unknown or len({*self.datasets}) < max(len(self.datasets), 1):
            raise _runner.error(
                f"`datasets` must be names from {list(DATASETS)}, each once.",
                received=f"datasets={list(self.datasets)}",
                remedy="Pass names separated by commas.",
            )
        enumerates = [
            name
            for name in self.methods
            if METHODS[name].auxiliaries == ENUMERATED
        ]
        if self.strategy == "multiworker" and enumerates:
            raise _runner.error(
                "Several machines do not enumerate together.",
                received=f"strategy={self.strategy} with methods={enumerates}",
                remedy="Leave these methods out, or use one machine.",
            )
        for name in self.datasets:
            self.problem(name)  # raises if a value does not fit

    def problem(self, name: str) -> Problem:
        """Returns a data set with the recipe to train on it."""
        kind = DATASETS[name]
        known = {field.name for field in dataclasses.fields(kind)}
        if name != "rooms":
            known.discard("size")
        chosen = {
            field: getattr(self, field)
            for field in OVERRIDES
            if getattr(self, field) and field in known
        }
        return kind(
            **chosen,
            seeds=self.seeds,
            output_dir=str(pathlib.Path(self.output_dir) / name),
            verbose=self.verbose,
            resume=self.resume,
            seconds_between_checkpoints=self.seconds_between_checkpoints,
        )


def run(config: Config) -> dict[str, Results]:
    """Trains what has not been trained yet, and writes the tables.

    Args:
        config: The settings.

    Returns:
        What the data sets' `results.json` hold.

    Raises:
        FileExistsError: If there are runs with other settings.
        ImportError: If pictures are wanted and Matplotlib is missing.
        DivergedError: If training diverged in every run on a data set. Single
            ones that do are left out, and tried again the next time.
    """
    _runner.check_plots(config)
    results = {}
    for name in config.datasets:
        problem = config.problem(name)
        folder = pathlib.Path(problem.output_dir)
        _runner.claim_output(
            dataclasses.replace(problem, overwrite=config.overwrite),
            {"seeds", "output_dir", "manual_dir"},
            parts_of(folder),
        )
        results[name] = compare(config, name, problem, folder)
    return results


def parts_of(folder: pathlib.Path) -> list[str]:
    """Returns the names of what an earlier comparison has written.

    With a run or an enumeration of other settings among the new ones, a table
    would compare what cannot be compared.
    """
    enumerations = (path.name for path in folder.glob("enumeration_*"))
    return ["runs", *enumerations, "table.txt", "table.md", "changes.png"]


def compare(
    config: Config, name: str, problem: Problem, folder: pathlib.Path
) -> Results:
    """Trains all methods on one data set with all seeds."""
    start = time.perf_counter()
    data = problem.load_data()
    runs, failures = [], []
    for seed in config.seeds:
        for method in config.methods:
            run = _runs.Run(folder / "runs", method, seed)
            own = dataclasses.replace(problem, seeds=(seed,))
            resolved = METHODS[method]
            if not run.has_ended:
                resolved = with_graph(resolved, own, data)
            try:
                runs.append(run.train(own, resolved, data))
            except _runner.DivergedError as problem_of_run:
                # The others are worth having all the same.
                failures.append(str(problem_of_run))
                print(f"failed: {failures[-1]}", flush=True)
    if not runs:
        raise _runner.DivergedError(
            f"No run on {name} ended well. {failures[0]}"
        )
    summary = _report.summarize(runs, BASELINE, problem.directions)
    results = {
        "dataset": name,
        "config": dataclasses.asdict(problem),
        "versions": _runner.versions(),
        "summary": summary,
        "runs": runs,
        "failures": failures,
    }
    if not is_chief():
        return results
    _runner.write_json(folder / "results.json", results, allow_nan=True)
    if config.plots:
        _report.draw_changes(summary, folder / "changes.png")
    rows = table(summary, problem)
    title = f"{problem.TITLE} on {name}, {_report.over_seeds(config.seeds)}"
    note = "↑ higher is better, ↓ lower is better; Δm (%) against stl."
    for kind, lines in (
        ("txt", _tables.text(rows)),
        ("md", _tables.markdown(rows)),
    ):
        text = "\n".join([title, "", *lines, "", note, ""])
        write_text(folder / f"table.{kind}", text)
        if kind == "txt":
            print(f"\n{text}")
    print(f"Wrote {folder} after {time.perf_counter() - start:.0f} s.")
    return results


def with_graph(method: Method, problem: Problem, data: Data) -> Method:
    """Returns a method with its graph, from an enumeration if it wants one."""
    if method.auxiliaries != ENUMERATED:
        return method
    # Every seed has an enumeration of its own: the spread over seeds is then
    # that of the whole method, and seeds can be added.
    folder = pathlib.Path(problem.output_dir)
    gains = _training.enumerate_pairs(
        problem, data, folder / f"enumeration_{problem.seeds[0]}"
    )
    return dataclasses.replace(method, auxiliaries=gains.graph())


def table(summary: Results, problem: Problem) -> list[Sequence[str] | None]:
    """Returns the rows of a table, one for every method."""
    directions = problem.directions
    columns = [(t, m) for t, names in directions.items() for m in names]
    of_tasks = len(columns) <= MOST_COLUMNS
    arrow = {True: "↑", False: "↓"}
    header = [""]
    if of_tasks:
        header += [f"{t} {m} {arrow[directions[t][m]]}" for t, m in columns]
    first = next(iter(directions.values()))
    shared = [*next(iter(summary.values()))["means"]]
    header += [f"mean {m} {arrow[first[m]]}" for m in shared]
    header += ["Δm ↑", "seconds ↓", "parameters ↓"]
    rows: list[Sequence[str] | None] = [header, None]
    for method, found in summary.items():
        row = [method]
        if of_tasks:
            row += [_report.cell(found["scores"][t][m]) for t, m in columns]
        row += [_report.cell(found["means"][m]) for m in shared]
        row += [
            _report.cell(found.get("delta_m"), "+.2f"),
            _report.cell(found["seconds"], ".1f"),
            f"{found['parameters']:,}",
        ]
        rows.append(row)
    return rows


if __name__ == "__main__":
    _runner.main(Config, run)
