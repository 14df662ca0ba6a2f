import keras
import pytest

from keras_selfaux import aggregators
from tests.aggregators.cases import AGGREGATORS

NAMED = {
    name: (case.names[0], type(case.make()))
    for case in AGGREGATORS.values()
    for name in case.names
}


@pytest.mark.parametrize("name", NAMED)
def test_names(name: str) -> None:
    canonical, cls = NAMED[name]
    aggregator = aggregators.get(name)
    assert type(aggregator) is cls
    assert aggregator.name == canonical
    # State belongs to one model: two models must not share an instance.
    assert aggregators.get(name) is not aggregator


def test_every_method_has_a_row_in_the_table() -> None:
    bases = {aggregators.Aggregator, aggregators.GramianAggregator}
    exported = {getattr(aggregators, name) for name in aggregators.__all__}
    methods = {
        thing
        for thing in exported
        if isinstance(thing, type) and issubclass(thing, aggregators.Aggregator)
    }
    assert {cls for _, cls in NAMED.values()} == methods - bases


@pytest.mark.parametrize("name", ["pcgrad", "config", "db_mtl"])
def test_the_table_of_the_documentation(name: str) -> None:
    cls = NAMED[name][1].__name__
    line = next(
        line for line in aggregators.__doc__.splitlines() if f'"{name}"' in line
    )
    assert f"`{cls}`" in line


def test_no_aggregator() -> None:
    assert aggregators.get(None) is None


def test_instances_come_back_themselves() -> None:
    aggregator = aggregators.CAGrad()
    assert aggregators.get(aggregator) is aggregator


def test_config_dicts() -> None:
    config = aggregators.serialize(aggregators.CAGrad(c=0.3))
    assert config["registered_name"] == "keras_selfaux>CAGrad"
    for restored in (aggregators.get(config), aggregators.deserialize(config)):
        assert isinstance(restored, aggregators.CAGrad)
        assert restored.c == 0.3


@pytest.mark.parametrize(
    "identifier", ["nonsense", 1.0, aggregators.MGDA, {"a": 1.0}]
)
def test_what_is_no_aggregator(identifier: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`aggregator` must be a known name, a config dict or an "
        r"instance of Aggregator. Received: aggregator=.* Known names: "
        r"\['aligned_mtl', .*'upgrad'\]",
    ):
        aggregators.get(identifier)


def test_a_config_of_something_else() -> None:
    config = keras.layers.serialize(keras.layers.Dense(1))
    with pytest.raises(ValueError, match="an instance of Aggregator"):
        aggregators.deserialize(config)


def test_public_names_are_there() -> None:
    for name in aggregators.__all__:
        assert getattr(aggregators, name) is not None
