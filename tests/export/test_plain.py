"""The plain model of some tasks."""

from typing import Any

import keras
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux.export._plain import plain_model
from tests.integration.models import TASKS, make_data, make_model


class Opaque(keras.layers.Layer):
    """An encoder whose branches Keras cannot see."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trunk = keras.layers.Dense(6)
        self.branches = {task: keras.layers.Dense(5) for task in TASKS}

    def build(self, input_shape: Any) -> None:
        self.trunk.build(input_shape)
        for branch in self.branches.values():
            branch.build((None, 6))

    def call(self, inputs: Any) -> Any:
        shared = self.trunk(inputs)
        return {task: self.branches[task](shared) for task in TASKS}


def opaque_model() -> keras_selfaux.SelfAuxModel:
    heads = {task: keras.layers.Dense(2) for task in TASKS}
    model = keras_selfaux.SelfAuxModel(Opaque(name="opaque"), heads)
    model.build((None, 4))
    return model


def functional_model() -> keras.Model:
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(6, "relu")(inputs)
    return keras.Model(
        inputs,
        {task: keras.layers.Dense(2, name=task)(shared) for task in TASKS},
    )


def test_a_model_with_clones_loses_them() -> None:
    model = make_model()
    plain = plain_model(model)
    clones = model.head_bank.num_clone_parameters
    assert clones > 0
    assert plain.count_params() == model.count_params() - clones
    x = make_data()[0]
    answers = plain.predict(x, verbose=0)
    for task, wanted in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[task], wanted, atol=1e-6)


def test_a_functional_model_is_taken_as_it_is() -> None:
    model = functional_model()
    assert plain_model(model) is model


@pytest.mark.parametrize("tasks", [["b"], ["c", "a"], ["c", "b", "a"]])
def test_tasks_keep_what_they_need_alone(tasks: list[str]) -> None:
    """Per task 4*6+6 shared, 6*5+5 of the branch, 5*2+2 of the head."""
    model = make_model()
    plain = plain_model(model, tasks)
    assert list(plain.output) == tasks
    assert plain.count_params() == 30 + len(tasks) * (35 + 12)
    assert plain.name == model.name
    x = make_data()[0]
    wanted = model.predict(x, verbose=0)
    for task, answer in plain.predict(x, verbose=0).items():
        np.testing.assert_allclose(answer, wanted[task], atol=1e-6)


def test_inputs_stay_even_where_a_task_needs_one_alone() -> None:
    inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
    model = keras.Model(
        inputs, {name: keras.layers.Dense(1)(x) for name, x in inputs.items()}
    )
    plain = plain_model(model, ["left"])
    assert set(plain.input) == {"left", "right"}
    assert plain.count_params() == 3


def test_an_encoder_that_cannot_be_parted_is_named() -> None:
    model = opaque_model()
    with pytest.raises(
        ValueError, match="layer 'opaque' is one operation"
    ) as e:
        plain_model(model, ["a"])
    # Kernel and bias of two other branches.
    assert "4 weights that only others need: [" in str(e.value)
    assert "`layers.BranchedEncoder`" in str(e.value)


def test_an_opaque_encoder_serves_all_tasks() -> None:
    model = opaque_model()
    assert set(plain_model(model).output) == set(TASKS)
    assert list(plain_model(model, ["b", "a", "c"]).output) == ["b", "a", "c"]


def test_several_outputs_of_the_same_weights_are_no_obstacle() -> None:
    """All weights of a recurrent layer serve each of its outputs."""
    inputs = keras.Input((3, 4))
    sequence, state = keras.layers.GRU(
        5, return_sequences=True, return_state=True
    )(inputs)
    model = keras.Model(inputs, {"all": sequence, "last": state})
    plain = plain_model(model, ["last"])
    assert plain.count_params() == model.count_params()


def test_outputs_that_no_task_needs_are_no_obstacle() -> None:
    inputs = keras.Input((4,))
    features = Opaque()(inputs)
    model = keras.Model(
        inputs, {"one": features["a"], "two": keras.layers.Dense(1)(inputs)}
    )
    assert list(plain_model(model, ["one"]).output) == ["one"]


def test_a_model_without_weights_is_refused() -> None:
    heads = {task: keras.layers.Dense(2) for task in TASKS}
    encoder = keras_selfaux.layers.BranchedEncoder([keras.layers.Dense(3)] * 2)
    model = keras_selfaux.SelfAuxModel(encoder, heads)
    with pytest.raises(ValueError, match="without weights has no inference"):
        plain_model(model)


def one_tensor() -> Any:
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def nested() -> Any:
    inputs = keras.Input((2,))
    return keras.Model(inputs, {"seg": [inputs, inputs + 1], "depth": inputs})


class Subclass(keras.Model):
    pass


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (one_tensor, "Received: outputs KerasTensor"),
        (nested, r"Received: outputs of which \['seg'\] are not one tensor"),
        (Subclass, "Received: Subclass"),
        (lambda: keras.layers.Dense(1), "Received: Dense"),
        (lambda: "model.keras", "Received: str"),
    ],
)
def test_other_models_are_refused(make: Any, received: str) -> None:
    with pytest.raises(ValueError, match=received) as problem:
        plain_model(make())
    assert "`model` must be a `SelfAuxModel`, or" in str(problem.value)


@pytest.mark.parametrize("tasks", ["a", [], ["a", "a"], ["a", "d"], ["d"], 3])
def test_tasks_must_be_known_and_once(tasks: Any) -> None:
    message = r"`tasks` must be one or more of \['a', 'b', 'c'\], and each once"
    with pytest.raises(ValueError, match=message) as problem:
        plain_model(functional_model(), tasks)
    assert f"tasks={tasks!r}" in str(problem.value)
