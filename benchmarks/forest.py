"""Times a forest of all single tasks and pairs against one network.

The forest that `discovery.enumerate_transfer` trains, the multi-task network of
all tasks (no clones), and one network of a pair, which the other way of
enumerating trains again and again, are timed in turn:

  python benchmarks/forest.py
  python benchmarks/forest.py --tasks=5,10,20

Prints JSON by number of tasks: seconds to build all networks and to join them,
seconds to trace and compile, milliseconds per step, and ratios within the run.
"""

import json
import os
import statistics
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import measuring
import numpy as np
from absl import app, flags

TASKS = flags.DEFINE_list("tasks", ["10"], "Numbers of tasks.")
BATCH = flags.DEFINE_integer("batch_size", 50, "Samples per step.")
STEPS = flags.DEFINE_integer("steps", 160, "Steps per round.")
ROUNDS = flags.DEFINE_integer("num_rounds", 5, "Timed rounds.")
THREADS = flags.DEFINE_integer("threads", 1, "Threads; 0 for all.")


def build(tasks: list[str]) -> Any:
    """Returns three dense layers, two of them shared, and heads."""
    import keras

    import keras_selfaux

    encoder = keras_selfaux.layers.BranchedEncoder(
        [keras.layers.Dense(32, "relu") for _ in range(3)], "half"
    )
    heads = {task: keras.layers.Dense(3) for task in tasks}
    model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
    model.build((None, 2))
    model.compile("adam", "mse", jit_compile=True, steps_per_execution=16)
    return model


def make_data(tasks: list[str]) -> Any:
    """Returns steps of batches in which each sample belongs to one task."""
    import tensorflow as tf

    count = STEPS.value * BATCH.value
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2)).astype("float32")
    labels = rng.normal(size=(count, 3)).astype("float32")
    owner = np.arange(count) % len(tasks)
    y = {
        task: np.where(owner[:, None] == number, labels, np.nan)
        for number, task in enumerate(tasks)
    }
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH.value)
    return batches.cache()


def compare(count: int) -> dict[str, Any]:
    """Times forest, network and pair."""
    from keras_selfaux.discovery._data import for_tasks
    from keras_selfaux.discovery._forest import plant
    from keras_selfaux.discovery._networks import networks_of

    tasks = [f"task_{number}" for number in range(count)]
    data = make_data(tasks)
    start = time.perf_counter()
    networks = [build(list(n.tasks)) for n in networks_of(tasks, [0])]
    built = time.perf_counter()
    forest = plant(networks, tasks)
    planted = time.perf_counter()
    models = {
        "forest": (forest, data),
        "network": (build(tasks), data),
        "pair": (build(tasks[:2]), for_tasks(data, tasks, tasks[:2]).cache()),
    }
    timed = measuring.take_turns(
        {
            name: lambda model=model, data=data: model.fit(data, verbose=0)
            for name, (model, data) in models.items()
        },
        ROUNDS.value,
    )
    step_ms = {
        name: 1e3 * statistics.median(times.wall) / STEPS.value
        for name, times in timed.items()
    }
    return {
        "networks": len(networks),
        "build_s": round(built - start, 2),
        "plant_s": round(planted - built, 2),
        "first_round_s": {n: round(t.first, 2) for n, t in timed.items()},
        "step_ms": {name: round(ms, 3) for name, ms in step_ms.items()},
        "forest_over_network": round(step_ms["forest"] / step_ms["network"], 2),
        "apart_over_forest": round(
            len(networks) * step_ms["pair"] / step_ms["forest"], 1
        ),
    }


def main(_: list[str]) -> None:
    """Prints the comparison."""
    measuring.start_keras(THREADS.value)
    print(json.dumps({t: compare(int(t)) for t in TASKS.value}, indent=2))


if __name__ == "__main__":
    app.run(main)
