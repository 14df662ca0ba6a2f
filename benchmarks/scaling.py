r"""Compile time, step time and memory as the number of tasks grows.

Trains the network of the RobotArm experiments with all T(T-1) clones and 5
samples per task in a batch, compiled by XLA, one process per measurement.
Labels come in two forms: `single`, where every sample belongs to one task
and says so (`SingleTaskLabels`), and `stacked`, one tensor with a task axis
in which the other tasks' labels are NaN; then all clones are computed for
all samples.

Prints JSON, and draws step time over T on logarithmic axes. Next to each
slope stands the arithmetic's: that of the multiplications and of the values
that the optimizer touches, which both grow with T.

    python benchmarks/scaling.py --plot=results/scaling.png
"""

import collections
import json
import os
import pathlib
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import measuring
import numpy as np
from absl import app, flags

_TASKS = flags.DEFINE_list("tasks", ["2", "5", "10", "20", "50", "100"], "T.")
_WEIGHTINGS = flags.DEFINE_list("weightings", ["equal", "auto_lambda"], "")
_LABELS = flags.DEFINE_list("labels", ["single", "stacked"], "Label forms.")
_PER_TASK = flags.DEFINE_integer("samples_per_task", 5, "Batch size over T.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Timed epochs; the median counts.")
_THREADS = flags.DEFINE_integer("threads", 1, "Threads; 0 lets TensorFlow say.")
_PLOT = flags.DEFINE_string("plot", None, "Where to draw, if anywhere.")
_WORKER = flags.DEFINE_string("worker", None, "Used by the script itself.")

UNITS, OUTPUTS = 32, 3
# Below this many tasks, what does not depend on T hides the slope.
SMALLEST_IN_SLOPE = 20


def arithmetic(num_tasks: int, batch: int, labels: str) -> float:
    """Returns what a forward pass multiplies, and the weights it multiplies.

    The unit does not matter for a slope; weights count once each, for the
    optimizer reads and writes them whatever the batch.
    """
    heads = num_tasks if labels == "single" else num_tasks**2
    trunk = UNITS * 2 + UNITS**2
    products = batch * (trunk + num_tasks * UNITS**2 + heads * UNITS * OUTPUTS)
    weights = trunk + num_tasks * UNITS**2 + num_tasks**2 * UNITS * OUTPUTS
    return products + weights


def measure(num_tasks: int, weighting: str, labels: str) -> dict[str, Any]:
    """Trains one network and returns the measurements."""
    import keras

    import keras_selfaux

    measuring.start_keras(_THREADS.value)
    batch = _PER_TASK.value * num_tasks
    steps = max(16, 3200 // num_tasks // 16 * 16)
    before = measuring.peak_memory()

    start = time.perf_counter()
    tasks = [f"task_{i}" for i in range(num_tasks)]
    stages = [keras.layers.Dense(UNITS, "relu") for _ in range(3)]
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder(stages, paths=2),
        {task: keras.layers.Dense(OUTPUTS) for task in tasks},
    )
    model.build((None, 2))
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss="mse",
        weighting=weighting,
        jit_compile=True,
    )
    built = time.perf_counter()

    data = make_data(num_tasks, batch, steps, labels)
    start_of_fit = time.perf_counter()
    model.fit(data.take(1), verbose=0, meta_data=data)
    first_step = time.perf_counter() - start_of_fit

    def fit() -> None:
        model.fit(data, verbose=0, meta_data=data)

    # The first round, which is not counted, fills the data's `cache`.
    epochs = measuring.take_turns({"fit": fit}, _ROUNDS.value)["fit"].wall
    return {
        "tasks": num_tasks,
        "clones": num_tasks * (num_tasks - 1),
        "weighting": weighting,
        "labels": labels,
        "batch_size": batch,
        "build_s": round(built - start, 2),
        "first_step_s": round(first_step, 2),
        "ms_per_step": round(1e3 * statistics.median(epochs) / steps, 3),
        "peak_memory_gb": round(measuring.peak_memory() / 1e9, 2),
        "of_it_before_gb": round(before / 1e9, 2),
    }


def make_data(num_tasks: int, batch: int, steps: int, labels: str) -> Any:
    """Returns random batches, ready in memory."""
    import tensorflow as tf

    import keras_selfaux

    rng = np.random.default_rng(0)
    # A few batches, repeated: with many tasks all would fill the memory.
    count = batch * min(steps, 16)
    x = rng.normal(size=(count, 2)).astype("float32")
    values = rng.normal(size=(count, OUTPUTS)).astype("float32")
    owners = rng.integers(num_tasks, size=count)
    y = keras_selfaux.SingleTaskLabels(values, owners)
    if labels == "stacked":
        is_own = owners[:, None, None] == np.arange(num_tasks)[None, :, None]
        y = np.where(is_own, values[:, None], np.float32(np.nan))
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.batch(batch, drop_remainder=True).cache()
    return data.repeat(steps // min(steps, 16)).prefetch(8)


def in_a_process(num_tasks: str, weighting: str, labels: str) -> Any:
    """Measures in a fresh process, since memory and caches outlive a model."""
    case = json.dumps([int(num_tasks), weighting, labels])
    result = measuring.in_own_process(f"--worker={case}")
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def slope(tasks: list[int], values: list[float]) -> float | None:
    """Returns the exponent of T that fits best from 20 tasks on."""
    pairs = [
        (t, v)
        for t, v in zip(tasks, values, strict=True)
        if t >= SMALLEST_IN_SLOPE
    ]
    if len(pairs) < 2:
        return None
    t, v = np.log(np.array(pairs)).T
    return round(float(np.polyfit(t, v, 1)[0]), 2)


def summarize(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns, per weighting and form of labels, the slopes."""
    groups = collections.defaultdict(list)
    for result in results:
        groups[result["weighting"], result["labels"]].append(result)
    slopes = []
    for (weighting, labels), group in groups.items():
        tasks = [r["tasks"] for r in group]
        expected = [
            arithmetic(r["tasks"], r["batch_size"], labels) for r in group
        ]
        slopes.append(
            {
                "weighting": weighting,
                "labels": labels,
                "slope": slope(tasks, [r["ms_per_step"] for r in group]),
                "slope_of_arithmetic": slope(tasks, expected),
            }
        )
    return slopes


def draw(
    results: list[dict[str, Any]], slopes: list[dict[str, Any]], path: str
) -> None:
    """Draws step time over the number of tasks."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for line in slopes:
        kind = line["weighting"], line["labels"]
        group = [r for r in results if (r["weighting"], r["labels"]) == kind]
        axes.loglog(
            [r["tasks"] for r in group],
            [r["ms_per_step"] for r in group],
            marker="o" if line["weighting"] == "equal" else "s",
            linestyle="-" if line["labels"] == "single" else "--",
            label=f"{kind[0]}, {kind[1]} labels: slope {line['slope']} "
            f"(arithmetic {line['slope_of_arithmetic']})",
        )
    tasks = sorted({r["tasks"] for r in results})
    axes.set_xticks(tasks, [str(t) for t in tasks])
    axes.minorticks_off()
    axes.set_xlabel("tasks T, with all T(T-1) clones")
    axes.set_ylabel("milliseconds per step")
    axes.legend(fontsize="small")
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(_: list[str]) -> None:
    """Measures all cases, prints JSON and draws."""
    if _WORKER.value:
        print(json.dumps(measure(*json.loads(_WORKER.value))))
        return
    results = [
        in_a_process(num_tasks, weighting, labels)
        for labels in _LABELS.value
        for weighting in _WEIGHTINGS.value
        for num_tasks in _TASKS.value
    ]
    slopes = summarize(results)
    print(json.dumps({"results": results, "slopes": slopes}, indent=2))
    if _PLOT.value:
        draw(results, slopes, _PLOT.value)


if __name__ == "__main__":
    app.run(main)
