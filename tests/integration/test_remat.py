"""Templates made under a `keras.RematScope`: the numbers do not change."""

import keras
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import TASKS, compile_model, make_data


def losses_of(mode: str | None, *, stack: bool) -> list[list[float]]:
    """Trains a few steps; the templates are made under this mode."""
    keras.utils.set_random_seed(0)
    with keras.RematScope(mode, 1, ["head"]):
        stages = [
            keras.layers.Dense(6, "tanh"),
            keras.Sequential(
                [keras.layers.Dense(5, "tanh"), keras.layers.Dropout(0.2)]
            ),
        ]
        heads = {task: keras.layers.Dense(2, name="head") for task in TASKS}
    model = keras_selfaux.SelfAuxModel(
        BranchedEncoder(stages, 1, stack=stack), heads, stack=stack
    )
    compile_model(model, weighting=AutoLambda(0.01), run_eagerly=True)
    return [
        model.train_on_batch(*make_data(), meta_data=make_data(30))
        for _ in range(2)
    ]


@pytest.mark.parametrize("stack", [True, False])
def test_templates_may_be_made_under_any_remat_scope(stack: bool) -> None:
    wanted = losses_of(None, stack=stack)
    for mode in ("full", "activations", "larger_than", "list_of_layers"):
        found = losses_of(mode, stack=stack)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
