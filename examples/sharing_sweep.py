"""How much should arms share? Every sharing depth, usual and asymmetric.

Trains the robot arms with a network of three layers, of which none, one, two or
all are shared, in two settings:

  usual       arms share the first layers, and nothing else
  asymmetric  beside that, every arm's head is cloned onto every other arm's
              branch, with weights that Auto-Lambda learns: arms also teach
              each other where they share nothing

Prints and draws the mean change of the test error against arms that learn alone
(Δm, higher is better) over the number of shared layers; Figure 1 of
Graffeuille et al., 2024 (arXiv 2410.15875) asks the same of other data. An
interrupted sweep goes on where it was when started again with the same flags.

  python examples/sharing_sweep.py --demo
  python examples/sharing_sweep.py --seeds=0,1,2,3,4
"""

import dataclasses
import os
import statistics
import time
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_selfaux import metrics, plots
from keras_selfaux.distribution import is_chief

if __package__:
    from examples import _runner, _runs
    from examples._methods import Method
    from examples._robot_arm import NUM_STAGES, RobotArm
else:
    import _runner
    import _runs
    from _methods import Method
    from _robot_arm import NUM_STAGES, RobotArm

Results = dict[str, Any]

SETTINGS: dict[str, dict[str, str]] = {
    "usual": {},
    "asymmetric": {"auxiliaries": "all", "weighting": "auto_lambda"},
}
BASELINE = ("usual", 0)
"""Arms that share nothing and teach nobody: single-task learning."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RobotArm):
    """The settings of a run; each is a flag."""

    DEMO: ClassVar[dict[str, Any]] = {"epochs": 100, "seeds": (0, 1)}

    output_dir: str = _runner.setting(
        "results/sharing_sweep", "Folder for results.json and the picture."
    )


def run(config: Config) -> Results:
    """Trains every setting at every depth with every seed.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds.

    Raises:
        FileExistsError: If there are results of other settings.
        ImportError: If pictures are wanted and Matplotlib is missing.
        DivergedError: If training diverged.
    """
    start = time.perf_counter()
    _runner.check_plots(config)
    folder = _runner.claim_output(config, parts={"runs"})
    path = folder / "results.json"
    data = config.load_data()
    runs = []
    for seed in config.seeds:
        for setting, options in SETTINGS.items():
            for depth in range(NUM_STAGES + 1):
                method = Method(paths=depth, **options)
                run = _runs.Run(folder / "runs", f"{setting}_{depth}", seed)
                result = run.train(config, method, data)
                runs.append({"setting": setting, "num_shared": depth, **result})
    changes = changes_by_depth(runs)
    results = {
        "config": dataclasses.asdict(config),
        "versions": _runner.versions(),
        "delta_m": changes,
        "runs": runs,
    }
    if not is_chief():
        return results
    _runner.write_json(path, results, allow_nan=True)
    print(table(changes, len(config.seeds)))
    if config.plots:
        axes = plots.plot_sharing_sweep(changes, xlabel="shared layers")
        _runner.save_figure(axes, folder / "sharing_sweep.png")
        print(f"Drew {folder / 'sharing_sweep.png'}")
    print(f"Wrote {path} after {time.perf_counter() - start:.0f} s.")
    return results


def changes_by_depth(runs: list[Results]) -> dict[str, dict[int, list[float]]]:
    """Returns Δm by setting and depth, one value for each seed."""
    found = {
        (r["setting"], r["num_shared"], r["seed"]): r["scores"] for r in runs
    }
    changes: dict[str, dict[int, list[float]]] = {s: {} for s in SETTINGS}
    for (setting, depth, seed), scores in sorted(found.items()):
        if (*BASELINE, seed) not in found:
            continue  # there is nothing to compare with
        of_depth = changes[setting].setdefault(depth, [])
        of_depth.append(metrics.delta_m(scores, found[*BASELINE, seed]))
    return changes


def table(changes: dict[str, dict[int, list[float]]], num_seeds: int) -> str:
    """Returns mean and standard deviation over seeds as a text table."""
    lines = [
        "",
        f"Δm (%) against single tasks over {num_seeds} seeds; higher is better",
        "",
        "".join(["shared layers", *(f"{name:>18}" for name in changes)]),
    ]
    for depth in range(NUM_STAGES + 1):
        cells = [f"{depth:<13}"]
        for of_setting in changes.values():
            values = of_setting[depth]
            text = f"{statistics.fmean(values):+.2f}"
            if len(values) > 1:
                text += f" ± {statistics.stdev(values):.2f}"
            cells.append(f"{text:>18}")
        lines.append("".join(cells))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    _runner.main(Config, run)
