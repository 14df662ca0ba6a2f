"""What two replicas on one machine do as one device does."""

from typing import Any

import keras
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux import aggregators
from keras_selfaux.distribution import make_strategy
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.weightings import AutoLambda
from tests.distribution.programs import compiled_model, labelled, train
from tests.integration.models import TASKS, compile_model, make_model
from tests.replicas import two_replicas


def normalized_model(*, synchronized: bool) -> keras_selfaux.SelfAuxModel:
    """Returns a model that shares a BatchNorm and has one per branch."""

    def stage() -> keras.Sequential:
        return keras.Sequential(
            [
                keras.layers.Dense(5, "tanh"),
                keras.layers.BatchNormalization(synchronized=synchronized),
            ]
        )

    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder([stage(), stage()], paths=1),
        {task: keras.layers.Dense(2) for task in TASKS},
    )
    model.build((None, 4))
    return model


def pair(make: Any, **arguments: Any) -> list[Any]:
    """Returns two equal models: on one device, and on two replicas."""
    models = []
    for strategy in (make_strategy(), two_replicas()):
        with strategy.scope():
            model = make()
            compile_model(model, **arguments)
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    return models


def assert_same(models: Any, tolerance: float = 1e-5) -> None:
    one, other = [model.get_weights() for model in models]
    for value, wanted in zip(other, one, strict=True):
        np.testing.assert_allclose(
            value, wanted, rtol=tolerance, atol=tolerance
        )


@pytest.mark.slow
def test_a_run_of_everything_equals_one_device() -> None:
    wanted = train(compiled_model(make_strategy()))
    found = train(compiled_model(two_replicas()))
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-5, atol=1e-5, err_msg=name
        )


@pytest.mark.slow
def test_synchronized_statistics_equal_those_of_one_device() -> None:
    models = pair(lambda: normalized_model(synchronized=True))
    for model in models:
        x, y = labelled(36, 1)
        model.fit(x, y, batch_size=12, shuffle=False, verbose=0)
    assert_same(models)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"weighting": AutoLambda()}, id="auto_lambda"),
        pytest.param({"aggregator": aggregators.CAGrad()}, id="rows"),
        pytest.param(
            {"aggregator": aggregators.MGDA(rows="features")}, id="features"
        ),
    ],
)
def test_a_replica_without_samples_spoils_nothing(arguments: Any) -> None:
    with two_replicas().scope():
        model = normalized_model(synchronized=False)
        compile_model(model, **arguments)
    x, y = labelled(13, 1)  # one is left for the second batch
    options = {"batch_size": 12, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, meta_data=(x, y), **options)
    for value in (*model.get_weights(), history.history["loss"]):
        assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(list(model.task_weights.values())))


def moving_means(model: Any, read: Any) -> dict[str, list[Any]]:
    """Returns what `read` makes of the moving means, by their path."""
    return {
        variable.path: read(variable)
        for variable in model.non_trainable_variables
        if "moving_mean" in variable.path
    }


def test_statistics_are_means_over_replicas() -> None:
    strategy = two_replicas()
    models = pair(lambda: normalized_model(synchronized=False))
    x, y = labelled(12, 1)
    for model in models:
        model.fit(x, y, batch_size=12, verbose=0, shuffle=False)
    first, *_ = moving_means(models[0], lambda v: v.numpy()).values()
    copies, *_ = moving_means(
        models[1],
        lambda v: [
            each.numpy()
            for each in strategy.experimental_local_results(v.value)
        ],
    ).values()
    np.testing.assert_array_equal(*copies)
    # Of the layer that sees the same on one device: means of means.
    np.testing.assert_allclose(copies[0], first, rtol=1e-5, atol=1e-7)


def test_single_batches_are_trained_on() -> None:
    models = pair(make_model, steps_per_execution=2)
    for model in models:
        # Both replicas are given the whole batch, as by Keras.
        model.train_on_batch(*labelled(12, 1))
    assert_same(models)
