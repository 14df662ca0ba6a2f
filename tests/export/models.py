"""Models to export, and data for them."""

import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder

TASKS = ["depth", "seg"]


def dense_model(
    tasks: Any = TASKS, auxiliaries: Any = "all", stack: bool = True
) -> keras_selfaux.SelfAuxModel:
    """Returns a built model on vectors of four numbers."""
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder(
            [keras.layers.Dense(6, "tanh"), keras.layers.Dense(5, "tanh")],
            1,
            stack=stack,
        ),
        {task: keras.layers.Dense(i + 2) for i, task in enumerate(tasks)},
        auxiliaries,
        stack=stack,
    )
    model.build((None, 4))
    return model


def vectors(count: int) -> Any:
    return np.random.default_rng(0).normal(size=(count, 4)).astype("float32")


def image_model(
    auxiliaries: Any = "all",
    stack: bool = True,
    size: Any = (8, 12),
    tasks: Any = TASKS,
) -> keras_selfaux.SelfAuxModel:
    """Returns a built convolutional model with BatchNorm and dropout."""
    channels = {"depth": 1, "seg": 4}

    def stage(strides: int) -> keras.layers.Layer:
        return keras.Sequential(
            [
                keras.layers.Conv2D(3, 3, strides=strides, padding="same"),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Dropout(0.3),
            ]
        )

    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder([stage(2), stage(1)], 1, stack=stack),
        {task: keras.layers.Conv2D(channels[task], 1) for task in tasks},
        auxiliaries,
        stack=stack,
    )
    model.build((None, *size, 3))
    return model


def images(count: int, size: Any = (8, 12)) -> Any:
    """Returns images from -1 to 1 that are made of bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *size, 3))
    return (pixels / 127.5 - 1).astype("float32")


def messages(x: Any) -> list[bytes]:
    """Returns a serialised `tf.train.Example` for every row."""
    lists = [tf.train.FloatList(value=row) for row in x]
    features = [{"inputs": tf.train.Feature(float_list=v)} for v in lists]
    return [
        tf.train.Example(
            features=tf.train.Features(feature=feature)
        ).SerializeToString()
        for feature in features
    ]


def signatures_of(path: pathlib.Path) -> Any:
    """Returns what a servable can be asked."""
    return tf.saved_model.load(str(path)).signatures
