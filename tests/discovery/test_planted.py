"""On a case with a known answer: finding the transfer, and gaining by it."""

import functools
import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.discovery import TransferGains, enumerate_transfer
from keras_selfaux.metrics import delta_m
from tests.discovery.planted import (
    NUM_INPUTS,
    NUM_OUTPUTS,
    TASKS,
    Split,
    planted_case,
)

SEEDS = range(5)
EPOCHS = 40
BATCH_SIZE = 50
SINGLE_TASK = 0
HALF_SHARED = 2

# Which validation loss chooses the epoch that a task is tested at.
OWN_EPOCHS = {task: f"val_{task}_loss" for task in TASKS}
JOINT_EPOCH = dict.fromkeys(TASKS, "val_loss")


def build_model(
    tasks: list[str],
    paths: int = HALF_SHARED,
    auxiliaries: Any = "none",
    weighting: Any = "equal",
) -> keras_selfaux.SelfAuxModel:
    """Returns a network of three layers, the first `paths` of them shared."""
    stages = [keras.layers.Dense(32, "relu") for _ in range(3)]
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder(stages, paths),
        {task: keras.layers.Dense(NUM_OUTPUTS[task]) for task in tasks},
        auxiliaries,
    )
    model.build((None, NUM_INPUTS))
    model.compile(keras.optimizers.Adam(4e-3), "mse", weighting=weighting)
    return model


@functools.cache
def gains_of(seed: int, strategy: str) -> TransferGains:
    data = planted_case(seed)
    gains = enumerate_transfer(
        build_model,
        TASKS,
        data["train"],
        data["validation"],
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        seeds=range(3),
        strategy=strategy,
        verbose=False,
    )
    assert gains is not None
    return gains


def endless(split: Split) -> tf.data.Dataset:
    """Returns batches of samples in random order."""
    samples = tf.data.Dataset.from_tensor_slices(split)
    samples = samples.shuffle(len(split[0])).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False  # to stop it takes seconds
    return samples.batch(BATCH_SIZE).prefetch(16).with_options(options)


def whole(split: Split) -> tf.data.Dataset:
    samples = tf.data.Dataset.from_tensor_slices(split)
    return samples.batch(len(split[0])).cache()


def errors(
    data: dict[str, Split],
    seed: int,
    best_epochs: dict[str, str],
    **settings: Any,
) -> dict[str, dict[str, float]]:
    """Trains a network and returns the test error of each task."""
    keras.utils.set_random_seed(seed)
    model = build_model(TASKS, **settings)
    stops = {
        monitor: keras.callbacks.EarlyStopping(
            monitor, mode="min", patience=EPOCHS, restore_best_weights=True
        )
        for monitor in best_epochs.values()
    }
    if model.weighting.needs_meta_data:
        meta_data = {"meta_data": endless(data["validation"])}
    else:
        meta_data = {}
    model.fit(
        endless(data["train"]),
        steps_per_epoch=len(data["train"][0]) // BATCH_SIZE,
        epochs=EPOCHS,
        shuffle=False,  # the data set does that
        validation_data=whole(data["validation"]),
        callbacks=list(stops.values()),
        verbose=0,
        **meta_data,
    )
    found = {}
    for task, monitor in best_epochs.items():
        model.set_weights(stops[monitor].best_weights)
        logs = model.evaluate(whole(data["test"]), verbose=0, return_dict=True)
        found[task] = {"rmse": math.sqrt(logs[f"{task}_loss"])}
    return found


def changes(seed: int) -> dict[str, float]:
    """Returns Δm of plain multi-task learning and of SAAL_ew."""
    data = planted_case(seed)
    single = errors(data, seed, OWN_EPOCHS, paths=SINGLE_TASK)
    multi = errors(data, seed, JOINT_EPOCH)
    selfaux = errors(
        data,
        seed,
        JOINT_EPOCH,
        auxiliaries=gains_of(seed, "forest").graph(),
        weighting=keras_selfaux.weightings.AutoLambda(normalize="branch"),
    )
    return {
        "mtl": delta_m(multi, single),
        "saal_ew": delta_m(selfaux, single),
    }


def standard_errors(values: np.ndarray) -> float:
    """Returns how many standard errors the mean is above zero."""
    deviation = values.std(ddof=1)
    return float(values.mean() / (deviation / math.sqrt(len(values))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "strategy"), [(0, "tuner"), *((seed, "forest") for seed in SEEDS)]
)
def test_enumeration_finds_the_edge_and_not_its_reverse(
    seed: int, strategy: str
) -> None:
    gains = gains_of(seed, strategy)
    assert gains.graph().edges == (("source", "target"),), gains.by_seed


@pytest.mark.slow
def test_saal_ew_beats_single_task_and_multi_task_learning() -> None:
    by_seed = [changes(seed) for seed in SEEDS]
    multi = np.array([change["mtl"] for change in by_seed])
    selfaux = np.array([change["saal_ew"] for change in by_seed])
    assert standard_errors(selfaux) > 2, by_seed
    assert standard_errors(selfaux - multi) > 2, by_seed
