"""`enumerate_transfer`: which task gains from which, by training every pair."""

import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_selfaux._checks import check_choice, check_count, error, is_iterable
from keras_selfaux._types import Task
from keras_selfaux.discovery._data import check_data, check_labels
from keras_selfaux.discovery._forest import (
    NotAForestError,
    looped_parts,
    not_a_forest,
    obstacle,
)
from keras_selfaux.discovery._forest_search import search_forest
from keras_selfaux.discovery._gains import Run, TransferGains
from keras_selfaux.discovery._networks import Network, networks_of
from keras_selfaux.discovery._scores import Judge, Metrics
from keras_selfaux.discovery._search import Search, built
from keras_selfaux.discovery._settings import FOREST, claim
from keras_selfaux.discovery._tuner_search import search_trials
from keras_selfaux.graph import TransferGraph
from keras_selfaux.metrics._delta_m import Directions

_STRATEGIES = ("auto", "forest", "tuner")


def enumerate_transfer(
    build_model: Callable[[list[Task]], keras.Model],
    tasks: Iterable[Task],
    train_data: Any,
    validation_data: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    seeds: Iterable[int] = (0,),
    metrics: Metrics | None = None,
    higher_is_better: Directions | None = None,
    strategy: str = "auto",
    directory: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    verbose: bool = True,
) -> TransferGains | None:
    """Trains every task alone and with every other one, and compares.

    This is SAAL_e's way (Graffeuille et al., 2024, arXiv 2410.15875) of
    finding out which self-auxiliaries help: `s -> t` does if task t does
    better in a network that learns s as well than in one that learns t
    alone. For T tasks these are T + T(T-1)/2 networks per seed.

    A network is judged on the validation data at its best epoch: the one
    where the sum of its tasks' losses, times their `loss_weights`, is least.
    The gain is the relative change of the target's metric, in percent, above
    zero where it is better; with several metrics, the mean change.

    There are two ways to train the networks, with the same results but for
    rounding. As a *forest* all run side by side in one model; where their
    layers stack (see `layers.BranchedEncoder`), 55 networks take a few times
    as long as one. That needs networks that are `SelfAuxModel`s without
    self-auxiliaries and with a `BranchedEncoder`, that differ in their tasks
    alone, and an optimizer that treats every weight alone: Adam, AdamW, SGD,
    RMSprop, Adagrad, Adadelta, Adamax, Nadam, Ftrl or Lion, without clipping
    by norm. With the *tuner* any networks train one by one, as trials of a
    KerasTuner search, which several processes or machines can share: set
    `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and `KERASTUNER_ORACLE_PORT`
    as KerasTuner's guide to distributed tuning says, and run the same script
    in all of them.

    Every network starts from `keras.utils.set_random_seed(seed)`. The order
    of arrays' samples does not depend on the seed, so that networks that are
    compared have seen the same batches. A `tf.data.Dataset` is read anew by
    every network of the tuner, and by a forest that goes on: if it shuffles,
    so does the order. Layers that draw at random in training, such as
    dropout, draw other numbers in a forest than in networks apart.

    Args:
        build_model: Takes a list of one, two, or all tasks, and returns a
            compiled Keras model with an output of that name for each.
        tasks: Names of the T tasks.
        train_data: A tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or
            a `tf.data.Dataset` of such batches that ends. The labels are
            those of all tasks: a dict by task, one array of shape
            `(samples, T, ...)`, or `SingleTaskLabels`.
        validation_data: The same, for choosing epochs and for comparing.
        epochs: Epochs of training.
        batch_size: Samples per batch, where data are arrays. Defaults to 32.
        seeds: Seeds of initial weights; every network trains once for each.
            Defaults to `(0,)`.
        metrics: What to compare: names as in the logs, but for the task, such
            as `"loss"`, `"mae"` or `["accuracy", "loss"]`, for all tasks or
            in a dict by task. Defaults to `"loss"`.
        higher_is_better: Whether higher is better, `{metric: bool}`,
            `{task: {metric: bool}}` or both. Metrics other than `"loss"`
            must be in it.
        strategy: `"forest"`, `"tuner"`, or `"auto"`: the forest where networks
            stack and the environment names no chief, else the tuner. Defaults
            to `"auto"`.
        directory: Where to keep what an interrupted enumeration goes on from:
            calling again with the same arguments finishes it, and calling
            once more only reads the results. That arguments are the same is
            told by arrays, by the form of a data set's batches, and by the
            configs of the network's layers. A chief and its workers need
            the same folder. Defaults to `None`: nothing is kept.
        overwrite: Whether to start anew where `directory` holds an
            enumeration. Defaults to `False`.
        verbose: Whether to show how it goes. Defaults to `True`.

    Returns:
        A `TransferGains`, or `None` in a worker: the chief has the results.

    Raises:
        ValueError: If arguments do not fit, or if networks cannot make up a
            forest and `strategy` is `"forest"`.
        FileExistsError: If `directory` holds an enumeration with other
            arguments.

    Example:

    >>> def build_model(tasks):
    ...     stages = [keras.layers.Dense(32, "relu") for _ in range(3)]
    ...     encoder = keras_selfaux.layers.BranchedEncoder(stages, "half")
    ...     heads = {task: keras.layers.Dense(1) for task in tasks}
    ...     model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
    ...     model.compile(keras.optimizers.Adam(1e-3), loss="mse")
    ...     return model
    >>> gains = keras_selfaux.discovery.enumerate_transfer(
    ...     build_model, ["seg", "depth"], (x, y), held_out, epochs=100
    ... )
    >>> graph = gains.graph()  # the self-auxiliaries that help
    """
    tasks = TransferGraph(tasks).tasks
    if len(tasks) < 2:
        raise error(
            "`tasks` must name at least two tasks.",
            received=f"tasks={list(tasks)}",
            remedy="A single task has nobody to learn from.",
        )
    check_choice("strategy", strategy, _STRATEGIES)
    check_count("epochs", epochs, least=1)
    check_count("batch_size", batch_size, least=1)
    check_data("train_data", train_data)
    check_data("validation_data", validation_data)
    check_labels("train_data", train_data, tasks)
    check_labels("validation_data", validation_data, tasks)
    networks = networks_of(tasks, _checked_seeds(seeds))
    search = Search(
        build_model,
        tasks,
        networks,
        train_data,
        validation_data,
        epochs,
        batch_size,
        Judge(tasks, metrics, higher_is_better),
        verbose,
    )
    is_shared = "KERASTUNER_ORACLE_IP" in os.environ
    if is_shared and directory is None:
        raise error(
            "A chief and its workers need a `directory`.",
            received="directory=None",
            remedy="Pass the same folder in all processes.",
        )
    network = built(search, Network(tasks, networks[0].seed))
    if directory is not None:
        claim(pathlib.Path(directory), search, network, overwrite=overwrite)
    as_forest = _trains_as_forest(strategy, network, is_shared)
    del network
    runs = _searched(search, directory, strategy, as_forest=as_forest)
    if runs is None:
        return None
    gains = search.judge.gains(runs)
    _warn_of_unknown(gains)
    return gains


def _searched(
    search: Search,
    directory: str | os.PathLike[str] | None,
    strategy: str,
    *,
    as_forest: bool,
) -> list[Run] | None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(directory or temporary)
        if as_forest:
            kept = None if directory is None else folder / FOREST
            try:
                return search_forest(search, kept)
            except NotAForestError as problem:
                if strategy == "forest":
                    raise
                warnings.warn(
                    f"{problem} Until then, they train one by one.",
                    stacklevel=3,
                )
        return search_trials(search, folder)


def _trains_as_forest(strategy: str, network: Any, is_shared: bool) -> bool:
    """Decides which way to go.

    Raises:
        ValueError: If a forest is asked for and impossible.
    """
    reason = "a chief and workers" if is_shared else obstacle(network)
    if strategy == "auto":
        return reason is None and not looped_parts(network)
    if strategy == "forest" and reason is not None:
        raise not_a_forest(reason)
    return strategy == "forest"


def _warn_of_unknown(gains: TransferGains) -> None:
    names = [
        f"{gains.tasks[source]}->{gains.tasks[target]}"
        for target, source in np.argwhere(np.isnan(gains.mean))
    ]
    if names:
        warnings.warn(
            f"The gains of {len(names)} edges are not known, since a network "
            "never had a finite loss, or a metric was 0 or no number: "
            f"{', '.join(names[:5])}{', ...' if names[5:] else ''}.",
            stacklevel=3,
        )


def _checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    values = tuple(seeds) if is_iterable(seeds) else ()
    for seed in values:
        check_count("seeds", seed, least=0)
    if not values or len(set(values)) < len(values):
        raise error(
            "`seeds` must hold at least one seed, and each only once.",
            received=f"seeds={seeds!r:.100}",
            remedy="Pass seeds such as (0, 1, 2).",
        )
    return values
