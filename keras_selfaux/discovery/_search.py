"""`Search`: what an enumeration trains, and on what."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_selfaux._checks import check_same_tasks, error
from keras_selfaux._meta_data import shape_of_inputs
from keras_selfaux._types import Task
from keras_selfaux.discovery._data import (
    for_tasks,
    training_batches,
    validation_batches,
)
from keras_selfaux.discovery._networks import Network
from keras_selfaux.discovery._scores import Judge
from keras_selfaux.model import SelfAuxModel

BuildModel = Callable[[list[Task]], keras.Model]


class Search(NamedTuple):
    """What both ways of enumerating need to know.

    Attributes:
        build_model: Makes a network for some of the tasks.
        tasks: All tasks.
        networks: The networks to train.
        train_data: Arrays or a data set of batches.
        validation_data: The same.
        epochs: Epochs of training.
        batch_size: Samples per batch of arrays.
        judge: Says what the results are worth.
        verbose: Whether to show how it goes.
    """

    build_model: BuildModel
    tasks: tuple[Task, ...]
    networks: list[Network]
    train_data: Any
    validation_data: Any
    epochs: int
    batch_size: int
    judge: Judge
    verbose: bool


def fit(
    search: Search,
    model: Any,
    tasks: Sequence[Task],
    callbacks: Sequence[Any],
    first_epoch: int = 0,
) -> None:
    """Trains a model on the labels of some of the tasks.

    Args:
        search: On what to train, and for how long.
        model: The model.
        tasks: The tasks whose labels it takes.
        callbacks: Callbacks of `fit`.
        first_epoch: The epoch to start with.
    """
    batches = training_batches(
        search.train_data, search.batch_size, search.epochs, first_epoch
    )
    validation = validation_batches(search.validation_data, search.batch_size)
    if batches.steps is not None:
        # Keras always finishes an execution, be it beyond the epoch.
        model.steps_per_execution = math.gcd(
            batches.steps, model.steps_per_execution
        )
    model.fit(
        for_tasks(batches.dataset, search.tasks, tasks),
        steps_per_epoch=batches.steps,
        initial_epoch=first_epoch,
        epochs=search.epochs,
        shuffle=False,  # the data set does that
        validation_data=for_tasks(validation, search.tasks, tasks),
        callbacks=callbacks,
        verbose=0,
    )


def built(search: Search, network: Network) -> Any:
    """Builds a network from its seed.

    Whichever way it will train, these are its initial weights.
    """
    keras.utils.set_random_seed(network.seed)
    model = search.build_model(list(network.tasks))
    if not isinstance(model, keras.Model) or not model.compiled:
        raise error(
            "`build_model` must return a compiled Keras model.",
            received=f"{model!r:.100}",
            remedy="Call `compile` on the model before you return it.",
        )
    if isinstance(model, SelfAuxModel):
        check_same_tasks(
            "build_model(tasks)", model.transfer_graph.tasks, network.tasks
        )
        if not model.head_bank.built:
            data = search.train_data
            is_dataset = isinstance(data, tf.data.Dataset)
            with model.distribute_strategy.scope():
                model.build(shape_of_inputs(data if is_dataset else data[0]))
    return model
