"""Trains a small model on one device, on several, or as one of N workers.

Every worker runs this program with the same flags. The chief alone writes;
when a worker is lost all end, and the same command goes on from the last
checkpoint.

  python examples/multiworker/run_local.py --workers=2 -- --folder=/tmp/shared
  python examples/multiworker/train.py --strategy=mirrored --devices=2
"""

import dataclasses
import os
import pathlib
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if not __package__:
    # As a script it has its own folder on the path, not the repository's.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import keras
import numpy as np

import keras_selfaux
from examples import _runner
from keras_selfaux import export
from keras_selfaux._checks import check_count
from keras_selfaux.callbacks import BackupAndRestore
from keras_selfaux.distribution import (
    LostWorkerError,
    is_chief,
    make_strategy,
)

TASKS = ("sum", "product", "distance")
_SAMPLES = 512
_HELD_OUT = 90


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The settings.

    Raises:
        ValueError: If a number is not positive.
    """

    strategy: str = _runner.setting(
        "multiworker",
        "Where to train.",
        choices=("none", "mirrored", "multiworker"),
    )
    devices: str = _runner.setting(
        "", "How many devices, or which; not for workers."
    )
    folder: str = _runner.setting(
        "results/multiworker",
        "Folder for checkpoint and export, which all workers can read.",
    )
    epochs: int = _runner.setting(10, "Number of epochs.")
    batch_size: int = _runner.setting(64, "Samples per step, of all workers.")
    seed: int = _runner.setting(0, "The same on all workers.")

    def __post_init__(self) -> None:
        """Checks the values."""
        check_count("epochs", self.epochs, least=1)
        check_count("batch_size", self.batch_size, least=1)


def make_data(count: int, seed: int) -> tuple[Any, dict[str, Any]]:
    """Returns pairs of numbers, a third without a label for each task."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (count, 2)).astype("float32")
    y = {
        "sum": x.sum(1, keepdims=True),
        "product": x.prod(1, keepdims=True),
        "distance": np.linalg.norm(x, axis=1, keepdims=True),
    }
    for number, labels in enumerate(y.values()):
        labels[number :: len(TASKS)] = np.nan
    return x, y


def make_model() -> keras_selfaux.SelfAuxModel:
    """Returns a compiled model, with the variables of the current scope."""
    stages = [keras.layers.Dense(16, "tanh") for _ in range(3)]
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder(stages, paths=2),
        {task: keras.layers.Dense(1) for task in TASKS},
    )
    model.build((None, 2))
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss="mse", weighting="auto_lambda")
    return model


def run(config: Config) -> keras_selfaux.SelfAuxModel:
    """Trains, evaluates and, on the chief, exports."""
    # First of all: workers must be joined before TensorFlow starts.
    strategy = make_strategy(config.strategy, config.devices or None)
    # Workers that shuffle alike take different samples of one batch.
    keras.utils.set_random_seed(config.seed)
    folder = pathlib.Path(config.folder)
    with strategy.scope():
        model = make_model()
    held_out = make_data(_HELD_OUT, config.seed + 1)
    writes = is_chief(strategy)
    backup = BackupAndRestore(
        folder / "checkpoint",
        delete_checkpoint=False,  # so that more epochs may follow
        end_on_signals=True,
    )
    model.fit(
        *make_data(_SAMPLES, config.seed),
        batch_size=config.batch_size,
        epochs=config.epochs,
        validation_data=held_out,
        meta_data=held_out,
        callbacks=[backup],
        verbose=2 if writes else 0,
    )
    # Every worker takes part, and all get the numbers of all samples.
    found = model.evaluate(*held_out, verbose=0, return_dict=True)
    print(f"Held-out loss: {found['loss']:.6f}", flush=True)
    if writes:
        path = export.write_servable(model, folder / "export")
        print(f"Exported to {path}.", flush=True)
    return model


if __name__ == "__main__":
    _runner.main(Config, run, expected=(LostWorkerError,))
