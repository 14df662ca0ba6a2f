"""Times a training step with each aggregator, and with TorchJD's.

RobotArm's network at 3 and 10 tasks, on one thread. Prints one JSON object:
milliseconds a step with no aggregator, with each of ours, and with TorchJD's
where it has the method, taken in turn in one run. `overhead_ms` is what an
aggregator adds to the step without one, and `allowed_ms` what it may add: as
much as one backward pass per task, and a millisecond.

    python benchmarks/aggregators.py
    python benchmarks/aggregators.py --methods=cagrad,nash_mtl --tasks=10
"""

import json
import os
import statistics
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import measuring
import step_time
import tensorflow as tf
from absl import app, flags

from keras_selfaux import _batch, _step, aggregators

_TASKS = flags.DEFINE_list("tasks", ["3", "10"], "Numbers of tasks.")
_METHODS = flags.DEFINE_list("methods", [], "Names; all if there are none.")
_CLONES = flags.DEFINE_bool("clones", True, "Train with all clones.")
_ROWS = flags.DEFINE_enum(
    "row_kind", "parameters", ["parameters", "features"], "What rows are of."
)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 160, "Steps in a round.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 5, "Rounds of each.")
_TORCHJD = flags.DEFINE_bool("torchjd", True, "Compare with TorchJD.")

BATCH_SIZE = 50
TORCH_STEPS = 5


def canonical_names() -> list[str]:
    """The names of all aggregators, aliases left out."""
    classes = vars(aggregators).values()
    made = [
        cls().name
        for cls in classes
        if isinstance(cls, type)
        and issubclass(cls, aggregators.Aggregator)
        and not cls.__subclasses__()
    ]
    return sorted(made)


def fit_run(
    tasks: list[str], aggregator: Any, data: tf.data.Dataset
) -> Callable[[], Any]:
    """Returns a run that trains an epoch."""
    model = step_time.make_model(
        tasks, auxiliaries="all" if _CLONES.value else "none"
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss="mse",
        aggregator=aggregator,
        jit_compile=True,
    )
    return lambda: model.fit(data, epochs=1, verbose=0)


def torch_run(num_tasks: int, method: str | None) -> Callable[[], Any]:
    """Returns a run that takes steps with one of TorchJD's aggregators."""
    import torch
    import torch_aggregators
    import torch_reference

    torch.set_num_threads(1)
    trainer = torch_aggregators.TorchAggregation(
        num_tasks, method, clones=_CLONES.value
    )
    generator = torch.Generator().manual_seed(0)
    batch = torch_reference.make_batch(num_tasks, BATCH_SIZE, generator)

    def run() -> None:
        for _ in range(TORCH_STEPS):
            trainer.train_step(*batch)

    return run


def torchjd_methods() -> set[str]:
    """The methods that TorchJD has, too."""
    if not _TORCHJD.value:
        return set()
    import torch_aggregators

    return set(torch_aggregators.AGGREGATORS)


def backward_ms(tasks: list[str], data: tf.data.Dataset) -> float:
    """What a backward pass takes: with the gradient less without."""
    model = step_time.make_model(
        tasks, auxiliaries="all" if _CLONES.value else "none"
    )
    model.compile("sgd", loss="mse")
    batch = next(iter(data))
    repeats = 50

    def losses(theta: list[tf.Tensor]) -> tf.Tensor:
        sorted_batch = _batch.as_batch(batch, tasks)
        found = _step.evaluate(model, theta, sorted_batch, clones=True)
        return tf.reduce_sum(found.shares)

    @tf.function(jit_compile=True, autograph=False)
    def forward(theta: list[tf.Tensor]) -> list[tf.Tensor]:
        return [t - 1e-3 * losses(theta) for t in theta]

    @tf.function(jit_compile=True, autograph=False)
    def both(theta: list[tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(theta)
            total = losses(theta)
        gradient = tape.gradient(total, theta)
        return [t - 1e-3 * g for t, g in zip(theta, gradient, strict=True)]

    def repeated(function: Callable[[Any], Any]) -> Callable[[], Any]:
        theta = [v.value + 0 for v in model.trainable_variables]

        def run() -> None:
            values = theta
            for _ in range(repeats):
                values = function(values)

        return run

    timed = measuring.take_turns(
        {"forward": repeated(forward), "both": repeated(both)}, 7
    )
    medians = {n: statistics.median(t.wall) for n, t in timed.items()}
    return 1e3 * (medians["both"] - medians["forward"]) / repeats


def measure(num_tasks: int, methods: list[str]) -> dict[str, Any]:
    """Times all methods at one number of tasks."""
    tasks = [f"arm_{i}" for i in range(num_tasks)]
    data = step_time.make_data(
        tasks, BATCH_SIZE, _NUM_STEPS.value, missing=True
    )
    runs = {"none": fit_run(tasks, None, data)}
    steps = {"none": _NUM_STEPS.value}
    for method in methods:
        config = {"name": method, "rows": _ROWS.value}
        aggregator = type(aggregators.get(method))(**config)
        runs[method] = fit_run(tasks, aggregator, data)
        steps[method] = _NUM_STEPS.value
    known = torchjd_methods()
    if known:
        runs["torch_none"] = torch_run(num_tasks, None)
    for method in [m for m in methods if m in known]:
        runs[f"torchjd_{method}"] = torch_run(num_tasks, method)
    timed = measuring.take_turns(runs, _NUM_ROUNDS.value)
    ms = {
        name: 1e3 * statistics.median(times.wall) / steps.get(name, TORCH_STEPS)
        for name, times in timed.items()
    }
    backward = backward_ms(tasks, data)
    result: dict[str, Any] = {
        "none_ms": round(ms["none"], 3),
        "backward_ms": round(backward, 3),
        "allowed_ms": round(num_tasks * backward + 1, 3),
    }
    if known:
        result["torch_none_ms"] = round(ms["torch_none"], 3)
    for method in methods:
        found = {
            "ms": round(ms[method], 3),
            "overhead_ms": round(ms[method] - ms["none"], 3),
            "first_round_s": round(timed[method].first, 1),
        }
        if method in known:
            theirs = ms[f"torchjd_{method}"]
            found["torchjd_ms"] = round(theirs, 3)
            found["times_faster"] = round(theirs / ms[method], 1)
        result[method] = found
    return result


def main(_: list[str]) -> None:
    """Measures and prints."""
    measuring.start_keras()
    methods = _METHODS.value or canonical_names()
    if _ROWS.value == "features":
        methods = [
            name
            for name in methods
            if isinstance(aggregators.get(name), aggregators.GramianAggregator)
        ]
    result = {n: measure(int(n), methods) for n in _TASKS.value}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app.run(main)
