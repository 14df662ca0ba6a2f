"""What runners tell in the end: a summary over seeds, a table, pictures."""

import pathlib
import statistics
from typing import Any

import keras

from keras_selfaux import metrics, plots

if __package__:
    from examples import _runner, _tables
else:
    import _runner
    import _tables

Results = dict[str, Any]
Directions = dict[str, dict[str, bool]]


def summarize(
    runs: list[Results], baseline: str, directions: Directions
) -> Results:
    """Returns mean and standard deviation over seeds, method by method.

    Changes, in percent and above zero if better, are against the baseline
    with the same seed.

    Args:
        runs: What every run gave: its `method` and `seed`, and `scores` by
            task and metric.
        baseline: Name of a method; without runs of it there are no changes.
        directions: Whether higher is better, by task and metric.
    """
    by_method: dict[str, dict[int, Results]] = {}
    for run in runs:
        by_method.setdefault(run["method"], {})[run["seed"]] = run
    alone = by_method.get(baseline, {})
    summary: Results = {}
    for name, of_seeds in by_method.items():
        found = [run["scores"] for run in of_seeds.values()]
        summary[name] = {
            "scores": {
                task: over_runs([scores[task] for scores in found])
                for task in found[0]
            },
            "means": over_runs([means(scores) for scores in found]),
            "seconds": over_runs(
                [{"fit": run["seconds"]} for run in of_seeds.values()]
            )["fit"],
            "parameters": next(iter(of_seeds.values()))["parameters"],
        }
        shared = [seed for seed in of_seeds if seed in alone]
        if name == baseline or not shared:
            continue
        try:
            changes = [
                metrics.task_changes(
                    of_seeds[seed]["scores"], alone[seed]["scores"], directions
                )
                for seed in shared
            ]
        except ValueError as problem:
            # After a short run, a score of the baseline may well be 0.
            print(f"No changes of {name}: {problem}", flush=True)
            continue
        summary[name]["changes"] = over_runs(changes)
        summary[name]["delta_m"] = _spread(
            [statistics.fmean(of_run.values()) for of_run in changes]
        )
    return summary


def means(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Returns the mean over tasks of each metric that all of them have."""
    shared = set.intersection(*({*of_task} for of_task in scores.values()))
    names = [name for name in next(iter(scores.values())) if name in shared]
    if len(scores) == 1:
        return {}
    return {
        name: statistics.fmean(of_task[name] for of_task in scores.values())
        for name in names
    }


def over_runs(of_runs: list[dict[str, float]]) -> Results:
    """Returns mean and standard deviation of every entry."""
    names = of_runs[0]
    return {n: _spread([of_run[n] for of_run in of_runs]) for n in names}


def _spread(values: list[float]) -> dict[str, float | None]:
    # One run has no standard deviation.
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std}


def over_seeds(seeds: tuple[int, ...]) -> str:
    """Returns what the figures of a table are over."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"mean ± sd over {len(seeds)} seeds"


def table(
    summary: Results, title: str, directions: Directions, baseline: str
) -> str:
    """Returns the summary as a text table, a column for every method."""
    rows: list[list[str] | None] = [["", *summary], None]
    num_metrics = len({n for of_task in directions.values() for n in of_task})
    for task, of_task in directions.items():
        for name, is_higher_better in of_task.items():
            label = task
            if num_metrics > 1:
                label = f"{task} {name} {'↑' if is_higher_better else '↓'}"
            cells = [cell(of["scores"][task][name]) for of in summary.values()]
            rows.append([label, *cells])
    rows.append(None)
    for name in next(iter(summary.values()))["means"]:
        label = f"mean {name}" if num_metrics > 1 else "mean"
        cells = [cell(of["means"][name]) for of in summary.values()]
        rows.append([label, *cells])
    has_changes = any("delta_m" in of for of in summary.values())
    if has_changes:
        cells = [cell(of.get("delta_m"), "+.2f") for of in summary.values()]
        rows.append(["Δm (%)", *cells])
    cells = [cell(of["seconds"], ".1f") for of in summary.values()]
    rows.append(["seconds", *cells])
    if num_metrics == 1:
        is_higher_better = next(iter(directions.values()))
        better = "higher" if any(is_higher_better.values()) else "lower"
        title += f"; {better} is better"
    lines = ["", title, "", *_tables.text(rows)]
    if has_changes:
        lines.append(f"Δm: mean change against {baseline}; higher is better.")
    return "\n".join([*lines, ""])


def cell(spread: dict[str, float | None] | None, form: str = ".4f") -> str:
    """Returns a figure of the summary as text."""
    if spread is None:
        return "-"
    text = f"{spread['mean']:{form}}"
    if spread["std"] is not None:
        text += f" ± {spread['std']:{form.lstrip('+')}}"
    return text


class WeightHistory(keras.callbacks.Callback):
    """Notes the task weights now and then.

    Args:
        num_epochs: How many epochs to note, at most.

    Attributes:
        epochs: The epochs, counted from 1.
        weights: The task weights after each of them.
    """

    def __init__(self, num_epochs: int = 100) -> None:
        super().__init__()
        self._num_epochs = num_epochs
        self.epochs: list[int] = []
        self.weights: list[dict[tuple[str, str], float]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes the weights if it is time to."""
        every = -(-self.params["epochs"] // self._num_epochs)
        if (epoch + 1) % every == 0:
            self.epochs.append(epoch + 1)
            self.weights.append(self.model.task_weights)

    def get_state(self) -> dict[str, Any]:
        """Returns what was noted, as JSON can hold it."""
        weights = [
            [[*edge, weight] for edge, weight in at_epoch.items()]
            for at_epoch in self.weights
        ]
        return {"epochs": self.epochs, "weights": weights}

    def set_state(self, state: dict[str, Any]) -> None:
        """Brings back what `get_state` returned."""
        self.epochs = list(state["epochs"])
        self.weights = [
            {(source, target): weight for source, target, weight in at_epoch}
            for at_epoch in state["weights"]
        ]


def draw_history(history: WeightHistory, folder: pathlib.Path) -> None:
    """Draws the task weights over epochs, if they moved and were noted."""
    if not history.weights or history.weights[0] == history.weights[-1]:
        return
    axes = plots.plot_weight_history(history.weights, history.epochs)
    path = folder / "weight_history.png"
    _runner.save_figure(axes[0], path)
    print(f"Drew {path}")


def draw(summary: Results, exported: Results, folder: pathlib.Path) -> None:
    """Draws the exported model's weights, and the changes against stl."""
    weights = {
        (source, target): weight
        for target, sources in exported["task_weights"].items()
        for source, weight in sources.items()
    }
    path = folder / "task_weights.png"
    tasks = list(exported["task_weights"])
    _runner.save_figure(plots.plot_task_weights(weights, tasks), path)
    print(f"Drew {path}")
    draw_changes(summary, folder / "task_changes.png")


def draw_changes(summary: Results, path: pathlib.Path) -> None:
    """Draws the changes against the baseline, if there are any."""
    changes = {
        name: {
            task: spread["mean"]
            if spread["std"] is None
            else (spread["mean"], spread["std"])
            for task, spread in of["changes"].items()
        }
        for name, of in summary.items()
        if "changes" in of
    }
    if changes:
        _runner.save_figure(plots.plot_task_changes(changes), path)
        print(f"Drew {path}")
