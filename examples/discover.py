"""Which robot arm should teach which? Gains, a graph of them, and pictures.

Three ways to find out:

  forest    trains every arm alone and every pair of arms, all side by side
            in one model; thorough
  tuner     the same networks one by one, as trials of a KerasTuner search;
            slower, but works for any network, and can be shared
  affinity  watches a single run of all arms: how much does a step on one
            arm's loss lower another's? A cheap estimate

Writes gains.json (every gain, seed by seed) and graph.json (the
self-auxiliaries that help) and draws both. An interrupted enumeration goes on
where it was when started again with the same flags.
To share a tuner search, start the same command several times, once with
KERASTUNER_TUNER_ID=chief and each other time with a name of its own (worker0,
...), and in all of them KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT set to
the chief's address.

  python examples/discover.py --demo
  python examples/discover.py --search=tuner --seeds=0
  python examples/robot_arm.py --auxiliaries=results/discover/graph.json
"""

import dataclasses
import os
import pathlib
import time
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

import keras_selfaux
from keras_selfaux import callbacks, discovery, plots

if __package__:
    from examples import _runner, _training
    from examples._array_data import ArrayData
    from examples._methods import MULTI_TASK
    from examples._robot_arm import RobotArm
else:
    import _runner
    import _training
    from _array_data import ArrayData
    from _methods import MULTI_TASK
    from _robot_arm import RobotArm

SEARCHES = ("forest", "tuner", "affinity")

Gains = discovery.TransferGains


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RobotArm):
    """The settings of a run; each is a flag.

    Raises:
        ValueError: If a value is out of its range.
    """

    DEMO: ClassVar[dict[str, Any]] = {"epochs": 200, "seeds": (0,)}

    search: str = _runner.setting(
        "forest", f"How to find out: {', '.join(SEARCHES)}.", SEARCHES
    )
    threshold: float = _runner.setting(
        0.0, "An edge is in the graph if its mean gain is greater."
    )
    standard_errors: float = _runner.setting(
        0.0,
        "By how many standard errors of the mean over seeds the gain has to "
        "be above the threshold.",
    )
    every_n_steps: int = _runner.setting(
        100, "How often affinities are measured."
    )
    output_dir: str = _runner.setting(
        "results/discover", "Folder for gains.json, graph.json and pictures."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        _runner.check_one_machine(self)
        if self.num_tasks < 2:
            raise _runner.error(
                "`num_tasks` must be at least 2.",
                received=f"num_tasks={self.num_tasks!r}",
                remedy="A single arm has nobody to learn from.",
            )
        if self.standard_errors < 0 or (
            self.standard_errors and len(self.seeds) < 2
        ):
            raise _runner.error(
                "`standard_errors` must be 0, or positive with several seeds.",
                received=f"standard_errors={self.standard_errors!r} with "
                f"{len(self.seeds)} seeds",
                remedy="Pass more --seeds, or leave it out.",
            )


def measured(config: Config, data: ArrayData) -> Gains:
    """Watches all arms train together, once for each seed."""
    matrices = []
    for seed in config.seeds:
        affinities = callbacks.LookaheadAffinity(
            data.splits["train"],
            data.splits["validation"],
            every_n_steps=config.every_n_steps,
            batch_size=config.batch_size,
            seed=seed,
        )
        _training.train(config, MULTI_TASK, "mtl", seed, data, [affinities])
        matrices.append(affinities.affinity)
    return Gains(config.tasks, matrices, measure="look-ahead affinity")


def run(config: Config) -> Gains | None:
    """Finds out, and writes what came out.

    Args:
        config: The settings.

    Returns:
        The gains; `None` in a worker, whose chief has them.

    Raises:
        FileExistsError: If there are results of other settings.
        ImportError: If pictures are wanted and Matplotlib is missing.
    """
    start = time.perf_counter()
    _runner.check_plots(config)
    folder = _runner.claim_output(config, ("threshold", "standard_errors"))
    data = config.load_data()
    if config.search == "affinity":
        gains: Gains | None = measured(config, data)
    else:
        gains = _training.enumerate_pairs(
            config, data, folder / "enumeration", config.search
        )
    if gains is None:
        print("The chief has the results.")
        return None
    graph = gains.graph(config.threshold, config.standard_errors)
    gains.to_json(folder / "gains.json")
    graph.to_json(folder / "graph.json")
    if config.plots:
        draw(gains, graph, folder)
    print(report(gains, graph))
    seconds = time.perf_counter() - start
    print(f"Wrote gains.json and graph.json to {folder} after {seconds:.0f} s.")
    return gains


def draw(
    gains: Gains, graph: keras_selfaux.TransferGraph, folder: pathlib.Path
) -> None:
    """Draws the gains as a matrix, and the graph with what hurts."""
    std = gains.std if len(gains.by_seed) > 1 else None
    axes = plots.plot_transfer_matrix(
        gains.mean, gains.tasks, std, label=gains.measure
    )
    _runner.save_figure(axes, folder / "gains.png")
    is_shown = graph.matrix() | (gains.mean < 0)
    axes = plots.plot_transfer_graph(
        np.where(is_shown, gains.mean, np.nan), gains.tasks
    )
    _runner.save_figure(axes, folder / "graph.png")
    print(f"Drew {folder / 'gains.png'} and graph.png")


def report(gains: Gains, graph: keras_selfaux.TransferGraph) -> str:
    """Returns who should teach each arm, the best teacher first."""
    place = {task: number for number, task in enumerate(gains.tasks)}
    lines = ["", f"Who should teach whom, by mean {gains.measure}:", ""]
    for target in gains.tasks:
        found = {s: gains.mean[place[target], place[s]] for s in place}
        teachers = sorted(graph.sources_of(target), key=found.__getitem__)
        texts = [f"{s} ({found[s]:+.2g})" for s in reversed(teachers)]
        lines.append(f"  {target:<8} {', '.join(texts) or 'nobody'}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    _runner.main(Config, run)
