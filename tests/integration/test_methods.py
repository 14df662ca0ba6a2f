"""Every weighting and aggregator in a model, in pairs.

Each row of the longer table comes once, with the other table's rows in
turn, so that all methods are tried together with another one. What takes
long is left to the slow tests, but for a few pairs of different kinds.
"""

import ast
import itertools
import pathlib
from collections.abc import Collection
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

import keras_selfaux
from keras_selfaux import aggregators, weightings
from tests.aggregators.cases import AGGREGATORS
from tests.cases import WEIGHTINGS
from tests.integration.models import (
    TASKS,
    assert_same_weights,
    compile_model,
    copy_weights,
    make_data,
    make_model,
)
from tests.replicas import two_replicas

# It has buffers of the rows' shapes, of all things a method may have.
_QUICK = {"moco"}


class Pair(NamedTuple):
    """A weighting and an aggregator, made anew for every model."""

    weighting: str
    aggregator: str

    def make(self) -> dict[str, Any]:
        """Returns the arguments of `compile`."""
        keras.utils.set_random_seed(1)  # what has no seed draws one
        return {
            "weighting": WEIGHTINGS[self.weighting].make(),
            "aggregator": AGGREGATORS[self.aggregator].make(),
        }

    @property
    def draws(self) -> bool:
        """Whether one of the two draws random numbers."""
        by_aggregator = AGGREGATORS[self.aggregator].draws is not None
        return "random" in self.weighting or by_aggregator


def _pairs(quick: Collection[str] = ()) -> list[Any]:
    count = max(len(WEIGHTINGS), len(AGGREGATORS))
    names = zip(
        itertools.cycle(WEIGHTINGS), itertools.cycle(AGGREGATORS), strict=False
    )
    return [
        pytest.param(
            Pair(*pair),
            id="-".join(pair),
            marks=[] if set(quick).intersection(pair) else [pytest.mark.slow],
        )
        for pair in itertools.islice(names, count)
    ]


PAIRS = pytest.mark.parametrize("pair", _pairs())
SOME_QUICKLY = pytest.mark.parametrize("pair", _pairs(_QUICK))


def fit(model: Any, count: int = 24, **arguments: Any) -> Any:
    x, y = make_data(count)
    options = {"batch_size": 12, "epochs": 3, "shuffle": False, "verbose": 0}
    return model.fit(x, y, meta_data=(x, y), **{**options, **arguments})


def state_of(model: Any) -> list[np.ndarray]:
    """Returns the state of both rules, seeds included."""
    rules = [rule for rule in (model.weighting, model.aggregator) if rule]
    return [ops.convert_to_numpy(v) for rule in rules for v in rule.variables]


@SOME_QUICKLY
def test_two_replicas_equal_one(pair: Pair) -> None:
    model = make_model()
    compile_model(model, **pair.make())
    with two_replicas().scope():
        mirrored = make_model()
        copy_weights(model, mirrored)
        compile_model(mirrored, **pair.make())
    for each in (model, mirrored):
        keras.utils.set_random_seed(3)  # the meta data are shuffled
        fit(each)
    assert_same_weights(model, mirrored, 1e-5)
    for one, other in zip(state_of(model), state_of(mirrored), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    ours, theirs = model.task_weights, mirrored.task_weights
    assert ours == pytest.approx(theirs, rel=1e-4)


@PAIRS
def test_half_precision_under_xla_stays_finite(pair: Pair) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model(dropout=0.2, batch_norm=True)
    compile_model(model, "adam", **pair.make(), jit_compile=True)
    fit(model)  # the first steps overflow, and are skipped
    for values in (*state_of(model), *model.get_weights()):
        assert np.all(np.isfinite(values))
    weights = list(model.task_weights.values())
    assert np.all(np.isfinite(weights))
    assert min(weights) >= 0.0


@SOME_QUICKLY
def test_training_goes_on_from_a_file(
    pair: Pair, tmp_path: pathlib.Path
) -> None:
    model = make_model(dropout=0.2)
    compile_model(model, "adam", **pair.make())
    fit(model)
    model.save(tmp_path / "m.keras")
    restored = keras.models.load_model(tmp_path / "m.keras")
    assert type(restored.weighting) is type(model.weighting)
    assert type(restored.aggregator) is type(model.aggregator)
    assert restored.task_weights == pytest.approx(model.task_weights)
    for each in (model, restored):
        keras.utils.set_random_seed(5)
        fit(each)
    assert_same_weights(model, restored, 1e-6)
    for one, other in zip(state_of(model), state_of(restored), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


# XLA makes other random numbers of a seed.
@pytest.mark.parametrize("pair", [p for p in _pairs() if not p.values[0].draws])
def test_xla_takes_the_same_steps(pair: Pair) -> None:
    plain, compiled = make_model(), make_model()
    copy_weights(plain, compiled)
    compile_model(plain, **pair.make(), jit_compile=False)
    compile_model(compiled, **pair.make(), jit_compile=True)
    for each in (plain, compiled):
        keras.utils.set_random_seed(3)
        fit(each)
    assert_same_weights(plain, compiled, 1e-4)


@pytest.mark.parametrize("name", sorted(aggregators._NAMES))
def test_every_name_of_an_aggregator_trains(name: str) -> None:
    model = make_model()
    compile_model(model, aggregator=name, run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(*make_data())
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize("name", sorted(weightings._NAMES))
def test_every_name_of_a_weighting_trains(name: str) -> None:
    model = make_model()
    compile_model(model, weighting=name, run_eagerly=True)
    data = make_data()
    before = model.get_weights()
    model.train_on_batch(*data, meta_data=data)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert all(moved)


def test_the_model_names_no_method() -> None:
    names = {*weightings._NAMES, *aggregators._NAMES}
    classes = {
        type(family.get(name)).__name__
        for family in (weightings, aggregators)
        for name in family._NAMES
    }
    root = pathlib.Path(keras_selfaux.__file__).parent
    for file in root.glob("*.py"):  # the model, its step, what they use
        tree = ast.parse(file.read_text())
        constants = {
            node.value for node in ast.walk(tree) if type(node) is ast.Constant
        }
        attributes = {
            node.attr for node in ast.walk(tree) if type(node) is ast.Attribute
        }
        variables = {
            node.id for node in ast.walk(tree) if type(node) is ast.Name
        }
        # "equal" is a default, and nothing asks whether it was given.
        found = names.intersection(constants) - {"equal"}
        assert not found, file.name
        assert not classes.intersection(attributes | variables), file.name


def test_epochs_reach_the_weighting() -> None:
    model = make_model()
    compile_model(model, weighting="dwa")
    fit(model, epochs=1)
    assert set(model.task_weights.values()) == {1.0}
    fit(model, epochs=1)
    weights = [model.task_weights[task, task] for task in TASKS]
    assert sum(weights) == pytest.approx(3.0, rel=1e-5)
    assert len(set(weights)) == 3


def test_a_list_of_callbacks_may_come_again() -> None:
    model = make_model()
    compile_model(model, weighting="dwa")
    model.train_on_batch(*make_data())
    seen: list[int] = []
    model.weighting.on_epoch_end = lambda: seen.append(1)
    callbacks = keras.callbacks.CallbackList(add_history=True, model=model)
    for _ in range(2):
        fit(model, epochs=1, callbacks=callbacks)
    assert len(seen) == 2


def test_a_solver_that_fails_is_reported() -> None:
    class Failing(aggregators.GramianAggregator):
        def solve(self, gramian: Any, present: Any) -> Any:
            ones = ops.ones_like(ops.diagonal(gramian))
            return aggregators.Coefficients(ones, False)

    model = make_model()
    compile_model(model, aggregator=Failing(name="failing"))
    with pytest.warns(
        UserWarning, match="'failing' did not find its solution in 2 steps"
    ):
        fit(model, epochs=1)
    # Counted anew in every epoch.
    assert ops.convert_to_numpy(model.aggregator.failures) == 0.0


def test_compile_takes_configs_and_instances() -> None:
    model = make_model()
    mgda = aggregators.MGDA(rows="features")
    compile_model(
        model,
        weighting=weightings.serialize(weightings.get("dwa")),
        aggregator=aggregators.serialize(mgda),
    )
    assert isinstance(model.aggregator, aggregators.MGDA)
    assert model.aggregator.rows == "features"
    assert model.weighting.name == "dynamic_weight_average"
    compile_model(model, aggregator=mgda)
    assert model.aggregator is mgda
    compile_model(model, aggregator=mgda)  # its state was another model's
    assert model.aggregator is not mgda
    assert model.aggregator.get_config() == mgda.get_config()
    with pytest.raises(ValueError, match="`aggregator` must be a known name"):
        compile_model(model, aggregator="nonsense")
