"""A servable costs what that of a network without clones costs."""

import pathlib
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux import export
from keras_selfaux.export._content import Content, content
from keras_selfaux.export._saved_model import read_meta_graph
from tests.export.models import (
    TASKS,
    dense_model,
    image_model,
    images,
    vectors,
)
from tests.replicas import two_replicas


def of_export(model: Any, path: pathlib.Path) -> Content:
    return content(read_meta_graph(export.write_servable(model, path)))


def of_variables(path: pathlib.Path) -> int:
    """Returns how many values the files of a servable hold."""
    reader = tf.train.load_checkpoint(str(path / "variables/variables"))
    shapes = reader.get_variable_to_shape_map()
    del shapes["_CHECKPOINTABLE_OBJECT_GRAPH"]
    return sum(int(np.prod(shape)) for shape in shapes.values())


CASES: dict[str, Callable[[str], keras_selfaux.SelfAuxModel]] = {
    "stacked": lambda edges: dense_model(auxiliaries=edges),
    "looped": lambda edges: dense_model(auxiliaries=edges, stack=False),
    "five tasks": lambda edges: dense_model(list("abcde"), edges),
    "BatchNorm and dropout": image_model,
    "BatchNorm, looped": lambda edges: image_model(edges, stack=False),
}


@pytest.mark.parametrize(
    ("case", "policy"),
    [
        *((case, "float32") for case in CASES),
        ("five tasks", "mixed_float16"),
        ("BatchNorm and dropout", "mixed_float16"),
    ],
)
def test_clones_cost_nothing(
    case: str, policy: str, tmp_path: pathlib.Path
) -> None:
    keras.config.set_dtype_policy(policy)
    model, without = CASES[case]("all"), CASES[case]("none")
    assert model.count_params() > without.count_params()
    found = of_export(model, tmp_path / "with")
    assert found == of_export(without, tmp_path / "without")
    assert found == of_export(without.inference_model, tmp_path / "plain")
    assert found.parameters == without.count_params()
    assert found.operations.total() > 0
    assert not found.idle_variables
    assert found.precision == policy.removeprefix("mixed_")
    # Nor is anything in the files that the graph does not name.
    assert of_variables(tmp_path / "with/1") == found.parameters


def test_after_training_under_a_strategy(tmp_path: pathlib.Path) -> None:
    strategy = two_replicas()
    x = images(8)
    with strategy.scope():
        model = image_model()
        model.compile("adam", loss="mse")
    y = {
        "seg": np.zeros((8, 4, 6, 4), "float32"),
        "depth": np.zeros((8, 4, 6, 1), "float32"),
    }
    model.fit(x, y, batch_size=8, verbose=0)
    path = export.write_servable(model, tmp_path / "model", examples=x)
    plain = image_model("none")
    wanted = of_export(plain, tmp_path / "plain")
    assert content(read_meta_graph(path)) == wanted
    assert of_variables(path) == plain.count_params()
    assert export.verify_servable(path, model).model < 1e-5
    with strategy.scope():
        for call in (model.export, partial(export.write_servable, model)):
            with pytest.raises(
                ValueError, match=r"outside of `strategy\.scope"
            ):
                call(tmp_path / "inside")
    assert not (tmp_path / "inside").exists()


@pytest.mark.parametrize("task", TASKS)
def test_a_task_alone_costs_what_its_own_network_costs(
    task: str, tmp_path: pathlib.Path
) -> None:
    path = export.write_servable(image_model(), tmp_path / "one", tasks=[task])
    single = image_model(tasks=[task])
    assert content(read_meta_graph(path)) == of_export(
        single, tmp_path / "single"
    )
    assert of_variables(path) == single.count_params()


def test_predictions_stay_those_of_the_model(tmp_path: pathlib.Path) -> None:
    model, x = dense_model(), vectors(64)
    path = export.write_servable(model, tmp_path)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    found, wanted = signature(tf.constant(x)), model.predict(x, verbose=0)
    for task in TASKS:
        assert np.allclose(found[task], wanted[task], atol=1e-6)
