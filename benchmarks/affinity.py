"""Times `LookaheadAffinity`: a measurement, and what it adds to `fit`.

RobotArm's network of 10 tasks without clones, compiled with XLA, on one
thread. Prints one JSON object: milliseconds of a training step, those of one
measurement with the exact form and without, and by how many percent `fit`
takes longer with the callback, all taken in turn in one run. Times are those
of the processor, all threads together, in the best round: other work on the
machine disturbs them less than the median by the wall clock.

`expected_percent` is what a measurement adds by its own time. `fit` may take
fewer steps at once with the callback; `steps_percent` is what that adds.

    python benchmarks/affinity.py
    python benchmarks/affinity.py --intervals=100 --tasks=3
"""

import json
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import measuring
import numpy as np
import step_time
import tensorflow as tf
from absl import app, flags

from keras_selfaux import _affinity, _execution
from keras_selfaux.callbacks import LookaheadAffinity

_TASKS = flags.DEFINE_integer("tasks", 10, "Tasks of RobotArm.")
_INTERVALS = flags.DEFINE_list(
    "intervals", ["50", "100", "200", "500"], "Steps between measurements."
)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 2000, "Steps in a round.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 7, "Rounds of each.")

BATCH_SIZE = 50
REPEATS = 50


def make_model(tasks: list[str]) -> keras.Model:
    """RobotArm's network, compiled."""
    model = step_time.make_model(tasks, auxiliaries="none")
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", jit_compile=True)
    return model


def fit_run(
    model: keras.Model,
    data: tf.data.Dataset,
    callback: Any = None,
    every_n_steps: int = 0,
) -> Callable[[], Any]:
    """Returns a run that trains an epoch."""

    def run() -> None:
        if callback is not None:
            callback.every_n_steps = every_n_steps
        callbacks = [] if callback is None else [callback]
        model.fit(data, epochs=1, verbose=0, callbacks=callbacks)

    return run


def measuring_run(
    tasks: list[str], batch: Any, *, exact: bool
) -> Callable[[], Any]:
    """Returns a run of measurements alone."""
    model = make_model(tasks)
    model.optimizer.build(model.trainable_variables)
    plan = _affinity.plan_of_primaries(model)
    rate = tf.constant(1e-3)

    def measured(data: Any, rate: tf.Tensor) -> Any:
        return _affinity.measure(model, plan, data, None, rate, exact=exact)

    function = _execution.compiled(model, measured)

    def run() -> None:
        for _ in range(REPEATS):
            np.asarray(function(batch, rate).cosine)

    return run


class OnEveryNthStep(keras.callbacks.Callback):
    """Does nothing, as often as the other callback might do something."""

    every_n_steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def main(_: list[str]) -> None:
    """Measures and prints."""
    measuring.start_keras()
    tasks = [f"arm_{i}" for i in range(_TASKS.value)]
    steps, intervals = _NUM_STEPS.value, [int(n) for n in _INTERVALS.value]
    data = step_time.make_data(tasks, BATCH_SIZE, steps, missing=True)
    batch = next(iter(data))
    model = make_model(tasks)
    runs = {
        "fit": fit_run(model, data),
        "exact": measuring_run(tasks, batch, exact=True),
        "first_order": measuring_run(tasks, batch, exact=False),
    }
    callbacks = {
        "none": OnEveryNthStep(),
        "exact": LookaheadAffinity(data),
        "first_order": LookaheadAffinity(data, exact=False),
    }
    for n in intervals:
        for name, callback in callbacks.items():
            runs[f"{name}_{n}"] = fit_run(model, data, callback, n)
    timed = measuring.take_turns(runs, _NUM_ROUNDS.value)
    ms = {n: 1e3 * min(t.processor) for n, t in timed.items()}
    step = ms["fit"] / steps
    result: dict[str, Any] = {"step_ms": round(step, 4)}
    for name in ("exact", "first_order"):
        once = ms[name] / REPEATS
        result[name] = {
            "measurement_ms": round(once, 3),
            "in_steps": round(once / step, 1),
            "first_round_s": round(timed[name].first, 1),
        }
        for n in intervals:
            over = 100 * (ms[f"{name}_{n}"] / ms["fit"] - 1)
            result[name][f"every_{n}"] = {
                "overhead_percent": round(over, 1),
                "expected_percent": round(100 * once / step / n, 1),
            }
    for n in intervals:
        over = 100 * (ms[f"none_{n}"] / ms["fit"] - 1)
        result.setdefault("steps_percent", {})[n] = round(over, 1)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    app.run(main)
