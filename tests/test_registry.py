import json

import keras
import pytest

from keras_selfaux import _registry


@_registry.register
class Rule:
    """A family of one, whose only setting is a number."""

    def __init__(self, number: int = 1) -> None:
        self.number = number

    def get_config(self) -> dict[str, int]:
        return {"number": self.number}

    @classmethod
    def from_config(cls, config: dict[str, int]) -> "Rule":
        return cls(**config)


def resolve(identifier: object) -> object:
    return _registry.resolve(
        identifier,
        argument="rule",
        base=Rule,
        names={"one": Rule, "two": lambda: Rule(2)},
    )


def test_register_returns_the_class_under_the_package_name() -> None:
    assert isinstance(Rule(), Rule)
    assert keras.saving.get_registered_name(Rule) == "keras_selfaux>Rule"


def test_a_name_gives_a_new_instance_each_time() -> None:
    assert resolve("two").number == 2
    assert resolve("one") is not resolve("one")


def test_an_instance_comes_back_itself() -> None:
    rule = Rule(3)
    assert resolve(rule) is rule


def test_a_config_dict_gives_an_instance() -> None:
    config = keras.saving.serialize_keras_object(Rule(4))
    assert resolve(json.loads(json.dumps(config))).number == 4


def test_the_dict_is_left_as_it_is() -> None:
    config = keras.saving.serialize_keras_object(Rule(4))
    before = json.dumps(config)
    resolve(config)
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    "identifier", ["three", None, 1, Rule, {"number": 1}, ["one"]]
)
def test_anything_else_is_an_error(identifier: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`rule` must be a known name, a config dict or an instance of "
        r"Rule. Received: rule=.* Known names: \['one', 'two'\]",
    ):
        resolve(identifier)


def test_a_config_of_another_family_is_an_error() -> None:
    config = keras.saving.serialize_keras_object(keras.layers.Dense(1))
    with pytest.raises(ValueError, match="an instance of Rule"):
        resolve(config)


@pytest.mark.parametrize("problem", [MemoryError(), PermissionError(13, "no")])
def test_what_is_no_fault_of_a_config(
    monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fails(number: int = 1) -> Rule:
        raise problem

    with pytest.raises(type(problem)), _registry.naming_config(Rule, {}):
        fails()
    monkeypatch.setattr(Rule, "from_config", fails)
    with pytest.raises(type(problem)):
        resolve({"class_name": "Rule", "config": {}})
