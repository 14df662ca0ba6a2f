import keras
import pytest

from keras_selfaux import weightings
from tests.cases import WEIGHTINGS

NAMED = {case.name: case for case in WEIGHTINGS.values() if case.name}


@pytest.mark.parametrize("name", NAMED)
def test_names(name: str) -> None:
    weighting = weightings.get(name)
    assert type(weighting) is type(NAMED[name].make())
    assert weighting.name == name
    # State belongs to one model: two models must not share an instance.
    assert weightings.get(name) is not weighting


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("dwa", "dynamic_weight_average"),
        ("gls", "geometric_loss"),
        ("imtl_l", "impartial_loss"),
        ("rlw", "random_loss_weighting"),
        ("stch", "smooth_tchebycheff"),
        ("uw", "uncertainty"),
    ],
)
def test_what_papers_call_them(alias: str, name: str) -> None:
    assert weightings.get(alias).name == name


def test_instances_come_back_themselves() -> None:
    weighting = weightings.AutoLambda()
    assert weightings.get(weighting) is weighting


def test_config_dicts() -> None:
    config = weightings.serialize(weightings.AutoLambda(initial_weight=0.3))
    assert config["registered_name"] == "keras_selfaux>AutoLambda"
    for restored in (weightings.get(config), weightings.deserialize(config)):
        assert isinstance(restored, weightings.AutoLambda)
        assert restored.initial_weight == 0.3


@pytest.mark.parametrize(
    "identifier",
    ["nonsense", None, 1.0, weightings.Equal, {"a": 1.0}, {("a", "b"): 1.0}],
)
def test_no_weighting(identifier: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`weighting` must be a known name, a config dict or an instance "
        r"of Weighting. Received: weighting=.* Known names: \['auto_lambda', "
        r".*'equal'",
    ):
        weightings.get(identifier)


def test_a_config_of_something_else() -> None:
    config = keras.layers.serialize(keras.layers.Dense(1))
    with pytest.raises(ValueError, match="an instance of Weighting"):
        weightings.get(config)


def test_public_names_are_there() -> None:
    for name in weightings.__all__:
        assert getattr(weightings, name) is not None


def test_every_weighting_has_a_row_in_the_table() -> None:
    public = {
        found
        for name in weightings.__all__
        if isinstance(found := getattr(weightings, name), type)
    }
    tested = {type(case.make()) for case in WEIGHTINGS.values()}
    assert public - {weightings.Weighting} == tested


def test_a_class_name_and_a_config_are_enough() -> None:
    config = {"class_name": "Static", "config": {"weights": [["a", 2.0]]}}
    assert isinstance(weightings.get(config), weightings.Static)
