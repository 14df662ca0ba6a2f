"""`mlp_stages`: dense layers as stages."""

import keras
import pytest

from keras_selfaux.architectures import mlp_stages
from tests.architectures.helpers import (
    TASKS,
    assert_trains_and_is_saved,
    branched,
    images,
    model_of,
)


@pytest.mark.parametrize("paths", [0, 1, 2, 3, "half"])
def test_any_number_of_stages_is_shared(paths) -> None:
    features = branched(mlp_stages((5, 6, 7)), paths)(images(4, 3))
    assert {t: f.shape for t, f in features.items()} == dict.fromkeys(
        TASKS, (4, 7)
    )


def test_layers_are_as_asked_for() -> None:
    layers = mlp_stages((5, 6), "tanh")
    assert [layer.units for layer in layers] == [5, 6]
    assert all(x.activation is keras.activations.tanh for x in layers)
    assert len(mlp_stages()) == 3


def test_training_and_saving(tmp_path) -> None:
    model = model_of(mlp_stages((5, 6)), keras.layers.Dense(2))
    assert_trains_and_is_saved(model, images(8, 3), tmp_path)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((), "`units` must give the number of units of each layer"),
        (32, "`units` must give the number of units of each layer"),
        ((4, 0), "`units` must be an integer of at least 1"),
        ((4, 2.5), "`units` must be an integer of at least 1"),
    ],
)
def test_wrong_arguments(units, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mlp_stages(units)
