"""What workers of the tests run: `python -m ... NAME FOLDER`."""

import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux.callbacks import BackupAndRestore
from keras_selfaux.distribution import make_strategy
from keras_selfaux.distribution._keras_multi_worker import (
    builds_from_batches,
    reduces_scalars,
)
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import TASKS, compile_model, make_model

Array = np.ndarray


def labelled(count: int, seed: int) -> tuple[Array, dict[str, Array]]:
    """Returns data whose later samples lack labels, all of them of `c`.

    The later half of each batch of 12 goes to the later workers.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype("float32")
    y = {t: rng.normal(size=(count, 2)).astype("float32") for t in TASKS}
    place = np.arange(count) % 12
    y["a"][place % 3 == 0] = np.nan
    y["b"][place == 11] = np.nan
    y["c"][place >= 4] = np.nan
    return x, y


def train(model: Any) -> dict[str, Any]:
    """Trains, evaluates and predicts, and returns what came of it."""
    x, y = labelled(41, 1)  # 5 are left for the last batch of 12
    held_out = labelled(25, 2)  # 1 is left: no sample for most workers
    history = model.fit(
        x,
        y,
        batch_size=12,
        shuffle=False,
        validation_data=held_out,
        meta_data=held_out,
        verbose=0,
    )
    predicted = model.predict(x, batch_size=12, verbose=0)
    return {
        **{f"weight{i}": w for i, w in enumerate(model.get_weights())},
        **{f"task{i}": w for i, w in enumerate(model.task_weights.values())},
        **{f"history_{k}": v for k, v in history.history.items()},
        **{f"predicted_{k}": v for k, v in predicted.items()},
    }


def train_on(model: Any) -> dict[str, Any]:
    """Trains further, in every other way that there is."""
    first = train(model)
    model.steps_per_execution = 2
    model.train_function = model.test_function = model.predict_function = None
    second = train(model)
    x, y = labelled(41, 3)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(12)
    third = model.fit(
        data.repeat(), meta_data=data, steps_per_epoch=5, verbose=0
    )
    evaluated = [
        model.evaluate(x, y, batch_size=12, verbose=0),
        model.evaluate(data, verbose=0),
    ]
    return {
        **{f"first_{k}": v for k, v in first.items()},
        **{f"second_{k}": v for k, v in second.items()},
        **{f"third_{k}": v for k, v in third.history.items()},
        **{f"weight{i}": w for i, w in enumerate(model.get_weights())},
        "predicted": list(model.predict(data, verbose=0).values()),
        "evaluated": evaluated,
    }


def compiled_model(strategy: tf.distribute.Strategy, **rules: Any) -> Any:
    """Returns a model with what has most to exchange, or with other rules."""
    rules = rules or {
        "weighting": AutoLambda(learning_rate=0.01, update_every=2),
        "aggregator": "cagrad",
    }
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = make_model()
        compile_model(
            model,
            keras.optimizers.Adam(0.01),
            metrics=["mae"],
            steps_per_execution=1,
            **rules,
        )
    return model


def quick_model(strategy: tf.distribute.Strategy) -> Any:
    """Returns a model that is traced in little time."""
    return compiled_model(strategy, weighting="uncertainty")


class Slowly(keras.callbacks.Callback):
    """Leaves time to stop a worker between two epochs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        print(f"Finished epoch {epoch + 1}.", flush=True)
        time.sleep(0.5)


def train_long(model: Any, *callbacks: Any) -> list[Array]:
    """Trains for as many epochs as it takes to be interrupted."""
    x, y = labelled(36, 1)
    options = {"batch_size": 12, "shuffle": False, "verbose": 0}
    model.fit(
        x, y, meta_data=(x, y), epochs=8, callbacks=list(callbacks), **options
    )
    return list(model.get_weights())


def run_train(folder: pathlib.Path) -> None:
    """Trains a small model, and keeps what every worker got."""
    found = train(quick_model(make_strategy("multiworker")))
    np.savez(folder / f"{worker()}.npz", **found)


def run_train_on(folder: pathlib.Path) -> None:
    """Trains in every way that there is, and keeps what workers got."""
    found = train_on(compiled_model(make_strategy("multiworker")))
    np.savez(folder / f"{worker()}.npz", **found)


def run_long(folder: pathlib.Path) -> None:
    """Trains with checkpoints, and keeps the weights."""
    model = compiled_model(make_strategy("multiworker"))
    backup = BackupAndRestore(folder / "backup")
    weights = train_long(model, backup, Slowly())
    np.savez(folder / f"{worker()}.npz", *weights)


def run_plain_keras(folder: pathlib.Path) -> None:
    """Lets Keras alone train, and says what the package thinks of that."""
    strategy = make_strategy("multiworker")
    said = [reduces_scalars(strategy), builds_from_batches(strategy)]
    with strategy.scope():
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    try:
        model.fit(np.ones((4, 1)), np.ones((4, 1)), batch_size=2, verbose=0)
    except Exception as problem:
        print("Keras fails:", type(problem).__name__)
    else:
        print("Keras works")
    print("said to work:", all(said))


def worker() -> int:
    """Returns this worker's number."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return int(resolver.task_id)


PROGRAMS: dict[str, Callable[[pathlib.Path], None]] = {
    "train": run_train,
    "train_on": run_train_on,
    "long": run_long,
    "plain_keras": run_plain_keras,
}

if __name__ == "__main__":
    # As for all tests: rewriting graphs takes longer than running them.
    options = {"disable_meta_optimizer": True}
    tf.config.optimizer.set_experimental_options(options)
    PROGRAMS[sys.argv[1]](pathlib.Path(sys.argv[2]))
