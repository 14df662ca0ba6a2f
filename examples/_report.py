"""What runners tell in the end: a summary over seeds, a table, pictures."""

import pathlib
import statistics
from typing import Any

import keras

from keras_selfaux import metrics, plots

if __package__:
    from examples import _runner
else:
    import _runner

Results = dict[str, Any]


def summarize(runs: list[Results], baseline: str) -> Results:
    """Returns mean and standard deviation over seeds, method by method.

    Changes, in percent and above zero if better, are against the baseline
    with the same seed.

    Args:
        runs: What every run gave: its `method`, and `rmse` by task.
        baseline: Name of a method; without runs of it there are no changes.
    """
    rmse: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        rmse.setdefault(run["method"], []).append(run["rmse"])
    summary: Results = {}
    for name in rmse:
        summary[name] = {
            "rmse": _over_seeds(rmse[name]),
            "mean_rmse": _spread(
                [statistics.fmean(errors.values()) for errors in rmse[name]]
            ),
        }
        if name == baseline or baseline not in rmse:
            continue
        pairs = [
            (_as_scores(own), _as_scores(single))
            for own, single in zip(rmse[name], rmse[baseline], strict=True)
        ]
        summary[name]["changes"] = _over_seeds(
            [metrics.task_changes(*pair) for pair in pairs]
        )
        summary[name]["delta_m"] = _spread(
            [metrics.delta_m(*pair) for pair in pairs]
        )
    return summary


def _as_scores(errors: dict[str, float]) -> dict[str, dict[str, float]]:
    return {task: {"rmse": value} for task, value in errors.items()}


def _over_seeds(of_seeds: list[dict[str, float]]) -> Results:
    tasks = of_seeds[0]
    return {t: _spread([of_seed[t] for of_seed in of_seeds]) for t in tasks}


def _spread(values: list[float]) -> dict[str, float | None]:
    # One seed has no standard deviation.
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std}


def table(summary: Results, title: str, baseline: str) -> str:
    """Returns the summary as a text table."""
    rows = [["", *summary]]
    tasks = next(iter(summary.values()))["rmse"]
    for task in tasks:
        cells = [_cell(of["rmse"][task], ".4f") for of in summary.values()]
        rows.append([task, *cells])
    means = [_cell(of["mean_rmse"], ".4f") for of in summary.values()]
    rows.append(["mean", *means])
    has_changes = any("delta_m" in of for of in summary.values())
    if has_changes:
        changes = [_cell(of.get("delta_m"), "+.2f") for of in summary.values()]
        rows.append(["Δm (%)", *changes])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    lines.insert(1, rule)
    lines.insert(2 + len(tasks), rule)
    if has_changes:
        lines.append(f"Δm: mean change against {baseline}; higher is better.")
    return "\n".join(["", title, "", *lines, ""])


def _cell(spread: dict[str, float | None] | None, form: str) -> str:
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
        path = folder / "task_changes.png"
        _runner.save_figure(plots.plot_task_changes(changes), path)
        print(f"Drew {path}")
