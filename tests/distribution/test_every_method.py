"""Every weighting and every aggregator: two replicas against one device.

Labels are missing unevenly: the second replica has none at all of one task.
"""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from tests.aggregators.cases import AGGREGATORS
from tests.cases import WEIGHTINGS
from tests.distribution.programs import labelled
from tests.integration.models import (
    compile_model,
    copy_weights,
    make_model,
    weights_of,
)
from tests.replicas import two_replicas

# A buffer of rows and a learned state; the rest has less to exchange.
_QUICK = {"uncertainty", "moco"}
_BATCHES = 10


def _rows(table: Any) -> list[Any]:
    return [
        pytest.param(
            case, id=name, marks=[] if name in _QUICK else [pytest.mark.slow]
        )
        for name, case in table.items()
    ]


def train_both(**arguments: Any) -> list[Any]:
    """Trains for ten steps on one device and on two replicas.

    Args:
        **arguments: Those of `compile` that are made anew for each: what
            makes a weighting and an aggregator.
    """
    models = [make_model()]
    with two_replicas().scope():
        models.append(make_model())
    copy_weights(*models)
    x, y = labelled(12 * _BATCHES, 1)
    held_out = labelled(24, 2)
    for model in models:
        keras.utils.set_random_seed(1)  # what has no seed draws one
        made = {name: make() for name, make in arguments.items()}
        with model.distribute_strategy.scope():
            compile_model(model, **made, steps_per_execution=1)
        keras.utils.set_random_seed(3)  # the meta data are shuffled
        data = {"meta_data": held_out, "shuffle": False, "batch_size": 12}
        model.fit(x, y, verbose=0, **data)
    return models


def assert_relative(model: Any, mirrored: Any) -> None:
    """Asserts that weights differ by 1e-5 of the largest of a variable."""
    found = weights_of(mirrored)
    for key, values in weights_of(model).items():
        for value, other in zip(values, found[key], strict=True):
            scale = np.max(np.abs(value))
            np.testing.assert_allclose(
                other, value, rtol=0, atol=1e-5 * scale, err_msg=str(key)
            )


def state_of(rule: Any) -> list[np.ndarray]:
    return [ops.convert_to_numpy(variable) for variable in rule.variables]


@pytest.mark.parametrize("case", _rows(WEIGHTINGS))
def test_two_replicas_weigh_as_one_does(case: Any) -> None:
    model, mirrored = train_both(weighting=case.make)
    assert_relative(model, mirrored)
    ours, theirs = model.task_weights, mirrored.task_weights
    assert ours == pytest.approx(theirs, rel=1e-4)
    for one, other in zip(
        state_of(model.weighting), state_of(mirrored.weighting), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", _rows(AGGREGATORS))
def test_two_replicas_aggregate_as_one_does(case: Any) -> None:
    model, mirrored = train_both(aggregator=case.make)
    assert_relative(model, mirrored)
    for one, other in zip(
        state_of(model.aggregator), state_of(mirrored.aggregator), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
