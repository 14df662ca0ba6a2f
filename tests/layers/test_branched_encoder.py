import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_selfaux.layers import BranchedEncoder

SIZE = 4
X = np.random.default_rng(0).normal(size=(3, SIZE)).astype("float32")
TABLE = {"a": [0, 0], "b": [0, 1], "c": [1, 1]}
BOTH = pytest.mark.parametrize("stack", [True, False])

CALLS: list[int] = []


@keras.saving.register_keras_serializable("tests")
class Recorder(layers.Dense):
    """A layer that notes each call; being a subclass, it is looped over."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        CALLS.append(self.units)
        return super().call(inputs)


def stages() -> list[layers.Layer]:
    return [layers.Dense(6, "tanh"), layers.Dense(5, "tanh")]


def made(paths: Any = TABLE, **options: Any) -> BranchedEncoder:
    """Returns a built encoder whose weights are all random."""
    encoder = BranchedEncoder(stages(), paths, **options)
    encoder.build((None, SIZE))
    rng = np.random.default_rng(1)
    for variable in encoder.variables:
        variable.assign(rng.normal(size=variable.shape))
    return encoder


def by_hand(encoder: BranchedEncoder, table: Any = TABLE) -> dict[str, Any]:
    """Follows every path of the table through ordinary layers."""
    numbers = [
        sorted({path[stage] for path in table.values()}) for stage in range(2)
    ]
    features = {}
    for task, path in table.items():
        values = X
        for stage, index in enumerate(path):
            module = numbers[stage].index(index)
            kernel, bias = encoder.stage_stacks[stage].module_weights(module)
            values = np.tanh(values @ kernel + bias)
        features[task] = values
    return features


def assert_same(found: Any, wanted: Any) -> None:
    assert list(found) == list(wanted)
    for task, values in wanted.items():
        np.testing.assert_allclose(found[task], values, rtol=1e-4, atol=1e-6)


@BOTH
@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        {"c": [1, 1], "a": [0, 0], "b": [0, 1]},  # tasks in another order
        {"a": [3, 0], "b": [3, 9], "c": [8, 9]},  # gaps
        {"a": [0, 0], "b": [1, 0]},  # one module after two prefixes
        {"a": [0, 1], "b": [0, 1]},  # one path
        {"a": [1, 0], "b": [0, 1], "c": [0, 0], "d": [1, 1]},
        {"a": [0, 0]},
    ],
)
def test_features_follow_the_table(table: Any, stack: bool) -> None:
    encoder = made(table, stack=stack)
    assert encoder.tasks == list(table)
    assert_same(encoder(X), by_hand(encoder, table))


@pytest.mark.parametrize(
    ("paths", "modules"),
    [("half", [1, 3]), (0, [3, 3]), (1, [1, 3]), (2, [1, 1])],
)
def test_numbers_of_shared_stages(paths: Any, modules: list[int]) -> None:
    encoder = made(paths, tasks=["a", "b", "c"])
    shapes = [
        stack.module_weights(0)[0].shape for stack in encoder.stage_stacks
    ]
    assert shapes == [(4, 6), (6, 5)]
    per_module = [4 * 6 + 6, 6 * 5 + 5]
    assert encoder.count_params() == np.dot(modules, per_module)
    features = encoder(X)
    alike = np.allclose(features["a"], features["b"])
    assert alike == (paths == 2)


def test_half_is_the_default() -> None:
    encoder = BranchedEncoder(stages(), tasks=["a", "b"])
    encoder.build((None, SIZE))
    assert encoder.count_params() == 4 * 6 + 6 + 2 * (6 * 5 + 5)


@pytest.mark.parametrize(
    ("table", "calls"),
    [
        ({"a": [0, 0], "b": [0, 0]}, (1, 1)),
        ({"a": [0, 0], "b": [0, 1], "c": [0, 2]}, (1, 3)),
        ({"a": [0, 0], "b": [1, 0], "c": [1, 0]}, (2, 2)),
        ({"a": [5, 5], "b": [7, 5], "c": [5, 7]}, (2, 3)),
    ],
)
def test_each_distinct_prefix_is_computed_once(
    table: Any, calls: tuple[int, int]
) -> None:
    encoder = BranchedEncoder([Recorder(6), Recorder(5)], table)
    encoder(X)
    CALLS.clear()
    encoder(X)
    assert (CALLS.count(6), CALLS.count(5)) == calls


def test_a_module_after_two_prefixes_is_one_set_of_weights() -> None:
    encoder = made({"a": [0, 4], "b": [1, 4]})
    assert encoder.stage_stacks[1].count_params() == 6 * 5 + 5
    kernel, bias = encoder.stage_stacks[1].module_weights(0)
    encoder.stage_stacks[1].set_module_weights(0, [0 * kernel, 0 * bias])
    for values in encoder(X).values():
        np.testing.assert_array_equal(values, np.zeros((3, 5)))


@BOTH
def test_modules_start_apart(stack: bool) -> None:
    encoder = BranchedEncoder(stages(), 0, tasks=["a", "b"], stack=stack)
    features = encoder(X)
    assert not np.allclose(features["a"], features["b"])


@BOTH
def test_modules_of_built_templates_start_alike(stack: bool) -> None:
    # So that pretrained stages start every branch alike.
    templates = stages()
    wanted = templates[1](templates[0](X))
    encoder = BranchedEncoder(templates, 0, tasks=["a", "b"], stack=stack)
    for values in encoder(X).values():
        np.testing.assert_allclose(values, wanted, rtol=1e-5)


def test_models_as_stages() -> None:
    inputs = keras.Input((SIZE,))
    hidden = layers.Dense(3)(inputs)
    trunk = keras.Model(inputs, layers.Add()([hidden, layers.Dense(3)(inputs)]))
    branch = keras.Sequential([layers.Dense(5), layers.BatchNormalization()])
    encoder = BranchedEncoder([trunk, branch], 1, tasks=["a", "b"])
    features = encoder(X)
    assert features["a"].shape == (3, 5)
    assert not np.allclose(features["a"], features["b"])


def test_templates_are_no_part_of_the_encoder() -> None:
    templates = stages()
    for template in templates:
        template.build((None, SIZE if template is templates[0] else 6))
    encoder = BranchedEncoder(templates, 0, tasks=["a", "b"])
    encoder(X)
    own = {id(variable) for variable in encoder.variables}
    assert not own & {id(v) for t in templates for v in t.variables}


def test_training_reaches_the_stages() -> None:
    encoder = BranchedEncoder(
        [layers.Dense(50), layers.Dropout(0.5)], 1, tasks=["a", "b"]
    )
    np.testing.assert_array_equal(encoder(X)["a"], encoder(X)["b"])
    trained = encoder(X, training=True)
    assert np.any(trained["a"] != trained["b"])
    assert np.mean(np.array(trained["a"]) == 0) > 0.2


def test_features_of_unknown_batch_size() -> None:
    inputs = keras.Input((SIZE,))
    features = made()(inputs)
    assert {task: f.shape for task, f in features.items()} == dict.fromkeys(
        TABLE, (None, 5)
    )


@BOTH
def test_plain_features_are_the_same(stack: bool) -> None:
    encoder = made(stack=stack)
    inputs = keras.Input((SIZE,))
    model = keras.Model(inputs, encoder.plain_features(inputs))
    found = model(X)
    for task, values in encoder(X).items():
        np.testing.assert_allclose(found[task], values, rtol=1e-4, atol=1e-6)
    # Ordinary layers, one per module.
    dense = [layer for layer in model.layers if layer.weights]
    assert [type(layer) for layer in dense] == [layers.Dense] * 4


# Tasks that are named later.


def test_tasks_can_be_named_later() -> None:
    encoder = BranchedEncoder(stages(), 1)
    assert encoder.tasks == []
    encoder.bind(["a", "b"])
    assert encoder.tasks == ["a", "b"]
    assert list(encoder(X)) == ["a", "b"]


def test_naming_the_same_tasks_again_changes_nothing() -> None:
    encoder = made()
    encoder.bind(["c", "a", "b"])
    assert encoder.tasks == ["a", "b", "c"]


@pytest.mark.parametrize("paths", ["half", 0])
def test_building_without_tasks(paths: Any) -> None:
    with pytest.raises(
        ValueError,
        match=rf"`paths`={paths!r} does not say what the tasks are. Received: "
        r"tasks=None. Pass `tasks=\[...\]` or a path table",
    ):
        BranchedEncoder(stages(), paths).build((None, SIZE))


@pytest.mark.parametrize(
    "name_tasks",
    [
        lambda tasks: BranchedEncoder(stages(), TABLE).bind(tasks),
        lambda tasks: BranchedEncoder(stages(), TABLE, tasks=tasks),
    ],
)
def test_tasks_other_than_those_of_the_table(name_tasks: Callable) -> None:
    with pytest.raises(
        ValueError,
        match=r"`paths` must have one entry per task \['a', 'd'\].*missing: "
        r"\['d'\], unknown: \['b', 'c'\]",
    ):
        name_tasks(["a", "d"])


@pytest.mark.parametrize("given", [[], [3], ["dense"], [layers.Dense]])
def test_stages_that_are_no_layers(given: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`stages` must be a list of Keras layers, one per stage. "
        r"Received: stages=.* Pass template layers",
    ):
        BranchedEncoder(given, TABLE)


def test_paths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="between 0 and 2"):
        BranchedEncoder(stages(), 3, tasks=["a"])
    with pytest.raises(ValueError, match="task 'a' one module index per stage"):
        BranchedEncoder(stages(), {"a": [0]})


# Serialisation.


@pytest.mark.parametrize(
    ("paths", "tasks"),
    [(TABLE, None), ("half", ["a", "b"]), (0, ["a", "b"]), ("half", None)],
)
def test_configs_go_through_json(paths: Any, tasks: Any) -> None:
    encoder = BranchedEncoder(
        stages(), paths, tasks=tasks, stack=False, name="mine"
    )
    config = json.loads(json.dumps(layers.serialize(encoder)))
    assert config["registered_name"] == "keras_selfaux>BranchedEncoder"
    restored = layers.deserialize(config)
    assert restored.name == "mine"
    assert restored.tasks == encoder.tasks
    assert restored.get_config() == encoder.get_config()
    restored.bind(encoder.tasks or ["a", "b"])
    assert restored(X)["a"].shape == (3, 5)
    assert not restored.stage_stacks[0].stacked


@BOTH
def test_saved_models_come_back(tmp_path: pathlib.Path, stack: bool) -> None:
    encoder = made({"a": [3, 0], "b": [3, 9], "c": [8, 9]}, stack=stack)
    inputs = keras.Input((SIZE,))
    model = keras.Model(inputs, encoder(inputs))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert_same(restored(X), model(X))


def test_saved_models_of_built_stages_come_back(tmp_path: pathlib.Path) -> None:
    templates = [
        keras.Sequential(
            [keras.Input((SIZE,)), layers.Dense(6), layers.BatchNormalization()]
        ),
        layers.Dense(5),
    ]
    encoder = BranchedEncoder(templates, 0, tasks=["a", "b"])
    inputs = keras.Input((SIZE,))
    model = keras.Model(inputs, encoder(inputs))
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.uniform(0.5, 1, w.shape) for w in model.get_weights()]
    )
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert_same(restored(X), model(X))


def test_weights_alone_come_back(tmp_path: pathlib.Path) -> None:
    first, second = made(), made()
    for variable in second.variables:
        variable.assign(0 * variable)
    models = []
    for encoder in (first, second):
        inputs = keras.Input((SIZE,))
        models.append(keras.Model(inputs, encoder(inputs)))
    models[0].save_weights(tmp_path / "all.weights.h5")
    models[1].load_weights(tmp_path / "all.weights.h5")
    assert_same(second(X), first(X))


def test_clones_by_keras_have_the_same_structure() -> None:
    inputs = keras.Input((SIZE,))
    model = keras.Model(inputs, made()(inputs))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same(clone(X), model(X))


def test_an_encoder_frozen_before_it_is_built_stays_frozen() -> None:
    encoder = BranchedEncoder(
        [layers.Dense(3), layers.Dense(2)], 1, tasks=["a", "b"], trainable=False
    )
    encoder.build((None, 4))
    assert encoder.weights
    assert not encoder.trainable_variables
    encoder.trainable = True
    assert len(encoder.trainable_variables) == len(encoder.weights)
