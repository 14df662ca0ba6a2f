r"""Milliseconds per training step, and the ratios that they should have.

Compares, alternating in one process with one thread each:

a. `SelfAuxModel` without edges against plain `keras.Model.fit` of the same
   network, for a small and for a large step;
b. RobotArm with all clones and Auto-Lambda against `torch_reference.py`;
c. Auto-Lambda against equal weights;
d. `predict` against the plain model's.

Prints JSON. Machines are noisy: read the ratios, not the milliseconds.

    python benchmarks/step_time.py --rounds=7
"""

import json
import os
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import measuring
import numpy as np
import tensorflow as tf
from absl import app, flags

import keras_selfaux

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed rounds; medians count.")
_STEPS = flags.DEFINE_integer("steps", 800, "Steps per round of Keras.")
_TASKS = flags.DEFINE_integer("num_tasks", 10, "Tasks of RobotArm.")
_BATCH = flags.DEFINE_integer("batch_size", 50, "Samples per step.")
_TORCH = flags.DEFINE_bool("torch", True, "Whether to run PyTorch's part.")


class Round(NamedTuple):
    """What is timed at a stretch, and how many steps or batches it is."""

    run: Callable[[], Any]
    steps: float


def make_encoder(width: int) -> keras.layers.Layer:
    """Two shared layers and a branch of one layer per task."""
    stages = [keras.layers.Dense(width, "relu") for _ in range(3)]
    return keras_selfaux.layers.BranchedEncoder(stages, paths=2)


def make_model(
    tasks: list[str], width: int = 32, auxiliaries: str = "all"
) -> keras_selfaux.SelfAuxModel:
    """The branching network of the RobotArm experiments."""
    heads = {task: keras.layers.Dense(3) for task in tasks}
    model = keras_selfaux.SelfAuxModel(make_encoder(width), heads, auxiliaries)
    model.build((None, 2))
    return model


def make_data(
    tasks: list[str], batch_size: int, steps: int, *, missing: bool
) -> tf.data.Dataset:
    """Random batches shaped like RobotArm's, made ready in memory."""
    rng = np.random.default_rng(0)
    count = batch_size * steps
    x = rng.normal(size=(count, 2)).astype("float32")
    y = {t: rng.normal(size=(count, 3)).astype("float32") for t in tasks}
    if missing:
        owner = rng.integers(len(tasks), size=count)
        for index, task in enumerate(tasks):
            y[task][owner != index] = np.nan
    data = tf.data.Dataset.from_tensor_slices((x, y))
    return data.batch(batch_size, drop_remainder=True).cache().prefetch(8)


def fit_round(
    model: keras.Model, data: tf.data.Dataset, **arguments: object
) -> Round:
    """Returns a round that trains an epoch."""
    return Round(
        lambda: model.fit(data, epochs=1, verbose=0, **arguments),
        int(data.cardinality()),
    )


def predict_round(model: keras.Model, x: np.ndarray, batch_size: int) -> Round:
    """Returns a round that predicts a set."""
    return Round(
        lambda: model.predict(x, batch_size=batch_size, verbose=0),
        len(x) / batch_size,
    )


def torch_round(num_tasks: int, batch_size: int, steps: int = 10) -> Round:
    """Returns a round that takes steps of PyTorch."""
    import torch
    import torch_reference

    torch.set_num_threads(1)
    reference = torch_reference.TorchReference(num_tasks, "auto_lambda")
    generator = torch.Generator().manual_seed(0)
    data = torch_reference.make_batch(num_tasks, batch_size, generator)
    meta = torch_reference.make_batch(num_tasks, batch_size, generator)

    def run() -> None:
        for _ in range(steps):
            reference.train_step(*data, *meta)

    return Round(run, steps)


def measure(rounds: dict[str, Round], repeats: int) -> dict[str, float]:
    """Returns ms per step, and the seconds of the round that compiles."""
    runs = {name: each.run for name, each in rounds.items()}
    timed = measuring.take_turns(runs, repeats)
    result = {
        name: round(1e3 * statistics.median(times.wall) / rounds[name].steps, 4)
        for name, times in timed.items()
    }
    for name, times in timed.items():
        result[f"{name}_first_round_s"] = round(times.first, 2)
    return result


def plain_and_empty(
    tasks: list[str], width: int, batch_size: int, steps: int, repeats: int
) -> dict[str, float]:
    """Part a: an empty graph against the plain model."""
    empty = make_model(tasks, width, "none")
    plain = empty.inference_model
    rounds = {}
    data = make_data(tasks, batch_size, steps, missing=False)
    for name, model in (("plain", plain), ("empty_graph", empty)):
        # The same for both: by itself, only the empty graph's is above 1.
        model.compile(
            keras.optimizers.Adam(1e-3), loss="mse", steps_per_execution=1
        )
        rounds[name] = fit_round(model, data)
    result = measure(rounds, repeats)
    result["ratio"] = round(result["empty_graph"] / result["plain"], 3)
    result["extra_ms"] = round(result["empty_graph"] - result["plain"], 3)
    return result


def with_clones(
    tasks: list[str], batch_size: int, steps: int, repeats: int, torch: bool
) -> dict[str, float]:
    """Parts b and c: all clones, Auto-Lambda, equal weights, PyTorch."""
    data = make_data(tasks, batch_size, steps, missing=True)
    rounds: dict[str, Round] = {}
    for weighting in ("equal", "auto_lambda"):
        model = make_model(tasks)
        model.compile(
            keras.optimizers.Adam(1e-3),
            loss="mse",
            weighting=weighting,
            jit_compile=True,
        )
        rounds[weighting] = fit_round(model, data, meta_data=data)
    if torch:
        rounds["torch_auto_lambda"] = torch_round(len(tasks), batch_size)
    result = measure(rounds, repeats)
    ratio = result["auto_lambda"] / result["equal"]
    result["auto_lambda_over_equal"] = round(ratio, 3)
    if torch:
        speedup = result["torch_auto_lambda"] / result["auto_lambda"]
        result["times_faster_than_torch"] = round(speedup, 1)
    return result


def predicting(tasks: list[str], repeats: int) -> dict[str, float]:
    """Part d: predicting with clones in the model and without."""
    model = make_model(tasks, width=256)
    x = np.random.default_rng(0).normal(size=(16384, 2)).astype("float32")
    result = measure(
        {
            "plain": predict_round(model.inference_model, x, 512),
            "selfaux": predict_round(model, x, 512),
        },
        repeats,
    )
    result["ratio"] = round(result["selfaux"] / result["plain"], 3)
    return result


def main(_: list[str]) -> None:
    """Runs all parts and prints one JSON object."""
    measuring.start_keras()
    tasks = [f"arm_{i}" for i in range(_TASKS.value)]
    steps, repeats = _STEPS.value, _ROUNDS.value
    result = {
        "a_small": plain_and_empty(
            tasks, 32, _BATCH.value, steps // 4, repeats
        ),
        "a_large": plain_and_empty(tasks, 512, 512, steps // 40, repeats),
        "b_and_c": with_clones(
            tasks, _BATCH.value, steps, repeats, _TORCH.value
        ),
        "d": predicting(tasks, repeats),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app.run(main)
