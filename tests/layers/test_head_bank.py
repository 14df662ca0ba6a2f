import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_selfaux import TransferGraph
from keras_selfaux._stacking import NamedNodes
from keras_selfaux.layers import HeadBank

BATCH = 3
BOTH = pytest.mark.parametrize("stack", [True, False])
# "a" and "b" have equal heads, "c" another, "d" equal ones to "a" on
# features of another size.
SIZES = {"a": 6, "b": 6, "c": 6, "d": 8}
GRAPH = TransferGraph(
    SIZES,
    [("a", "b"), ("b", "a"), ("c", "a"), ("a", "c"), ("a", "d"), ("d", "a")],
)


def heads() -> dict[str, Any]:
    return {
        "a": layers.Dense(2, name="first"),
        "b": layers.Dense(2, name="second"),
        "c": keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)]),
        "d": layers.Dense(2),
    }


def features(sizes: Any = SIZES) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        task: rng.normal(size=(BATCH, size)).astype("float32")
        for task, size in sizes.items()
    }


def shapes(sizes: Any = SIZES) -> dict[str, Any]:
    return {task: (None, size) for task, size in sizes.items()}


def made(graph: TransferGraph | None = GRAPH, **options: Any) -> HeadBank:
    bank = HeadBank(heads(), graph, **options)
    bank.build(shapes())
    return bank


def edge_outputs(groups: Any) -> dict[Any, Any]:
    return {
        edge: nodes[i]
        for edges, nodes in groups
        for i, edge in enumerate(edges)
    }


def by_hand(bank: HeadBank, edge: Any) -> Any:
    """Runs an edge's head on its target's features as an ordinary layer."""
    source, target = edge
    layer = heads()[source]
    inputs = features()[target]
    layer(inputs)
    layer.set_weights(bank.edge_weights(edge))
    return layer(inputs)


@BOTH
def test_predictions(stack: bool) -> None:
    bank = made(stack=stack)
    predictions = bank(features())
    assert list(predictions) == list(SIZES)
    for task, found in predictions.items():
        np.testing.assert_allclose(
            found, by_hand(bank, (task, task)), rtol=1e-5, atol=1e-6
        )


@BOTH
def test_clones_read_the_features_of_their_targets(stack: bool) -> None:
    bank = made(stack=stack)
    outputs = edge_outputs(bank.clones(NamedNodes.from_dict(features())))
    assert set(outputs) == set(GRAPH.edges)
    for edge, found in outputs.items():
        np.testing.assert_allclose(
            found, by_hand(bank, edge), rtol=1e-5, atol=1e-6
        )


def test_heads_that_differ_in_name_only_run_as_one() -> None:
    bank = made()
    primaries = [
        g.edges for g in bank.primaries(NamedNodes.from_dict(features()))
    ]
    assert primaries == [
        [("a", "a"), ("b", "b")],
        [("c", "c")],
        [("d", "d")],  # its features have another size
    ]
    clones = [g.edges for g in bank.clones(NamedNodes.from_dict(features()))]
    assert clones == [
        [("a", "b"), ("b", "a"), ("a", "c"), ("d", "a")],
        [("c", "a")],
        [("a", "d")],
    ]


def test_no_clones_by_default() -> None:
    bank = made(None)
    assert bank.graph == TransferGraph(SIZES)
    assert bank.clones(NamedNodes.from_dict(features())) == []
    assert bank.num_clone_parameters == 0


@BOTH
def test_number_of_parameters(stack: bool) -> None:
    bank = made(stack=stack)
    small, mlp, large = 6 * 2 + 2, 6 * 4 + 4 + 4 + 1, 8 * 2 + 2
    assert bank.num_clone_parameters == 4 * small + mlp + large
    primaries = 2 * small + mlp + large
    assert bank.count_params() == bank.num_clone_parameters + primaries


@BOTH
def test_all_heads_start_apart(stack: bool) -> None:
    bank = made(stack=stack)
    edges = [*GRAPH.primaries, *GRAPH.edges]
    kernels = [bank.edge_weights(edge)[0] for edge in edges]
    for i, kernel in enumerate(kernels):
        for other in kernels[:i]:
            assert kernel.shape != other.shape or not np.allclose(kernel, other)


@BOTH
def test_clones_with_explicit_seeds_start_apart(stack: bool) -> None:
    def head() -> Any:
        initializer = keras.initializers.HeNormal(seed=3)
        return layers.Dense(2, kernel_initializer=initializer)

    graph = TransferGraph.complete(["a", "b", "c"])
    bank = HeadBank({t: head() for t in graph.tasks}, graph, stack=stack)
    bank.build(dict.fromkeys(graph.tasks, (None, 6)))
    edges = [*graph.primaries, *graph.edges]
    kernels = [bank.edge_weights(edge)[0] for edge in edges]
    for i, kernel in enumerate(kernels):
        assert not any(np.allclose(kernel, other) for other in kernels[:i])


@BOTH
def test_only_primaries_start_from_built_templates(stack: bool) -> None:
    templates = heads()
    for task, inputs in features().items():
        templates[task](inputs)
    bank = HeadBank(templates, GRAPH, stack=stack)
    bank.build(shapes())
    for task, template in templates.items():
        wanted = template.get_weights()
        for found, weight in zip(
            bank.edge_weights((task, task)), wanted, strict=True
        ):
            np.testing.assert_array_equal(found, weight)
    own = templates["a"].get_weights()[0]
    assert not np.allclose(bank.edge_weights(("a", "b"))[0], own)


def test_templates_stay_unbuilt() -> None:
    templates = heads()
    HeadBank(templates, GRAPH).build(shapes())
    assert not any(template.built for template in templates.values())


# A source teaches its target, and the target cannot disturb the source.


@BOTH
def test_a_clone_reaches_the_branch_of_its_target_alone(stack: bool) -> None:
    bank = made(stack=stack)
    inputs = {t: tf.convert_to_tensor(f) for t, f in features().items()}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = edge_outputs(bank.clones(NamedNodes.from_dict(inputs)))
    for edge, output in outputs.items():
        gradients = tape.gradient(output, inputs, unconnected_gradients="zero")
        for task, gradient in gradients.items():
            assert np.any(gradient) == (task == edge[1])


@BOTH
def test_clones_leave_the_primaries_alone(stack: bool) -> None:
    bank = made(stack=stack)
    with tf.GradientTape() as tape:
        outputs = edge_outputs(bank.clones(NamedNodes.from_dict(features())))
        total = tf.add_n([tf.reduce_sum(v) for v in outputs.values()])
    variables = [
        v.value for s in bank.primary_stacks for v in s.trainable_variables
    ]
    assert tape.gradient(total, variables) == [None] * len(variables)


@BOTH
def test_predictions_do_not_depend_on_the_clones(stack: bool) -> None:
    bank = made(stack=stack)
    before = bank(features())
    for edge in GRAPH.edges:
        bank.set_edge_weights(edge, [w + 1.0 for w in bank.edge_weights(edge)])
    for task, found in bank(features()).items():
        np.testing.assert_array_equal(found, before[task])


def test_predicting_computes_no_clone() -> None:
    bank = made()
    for stack in bank.clone_stacks:
        vars(stack)["run"] = None  # calling it would fail
    assert len(bank(features())) == 4


# Weights of edges.


@BOTH
def test_weights_of_an_edge_come_back(stack: bool) -> None:
    bank = made(stack=stack)
    edges = [*GRAPH.primaries, *GRAPH.edges]
    for number, edge in enumerate(edges):
        weights = [np.full_like(w, number) for w in bank.edge_weights(edge)]
        bank.set_edge_weights(edge, weights)
    for number, edge in enumerate(edges):
        for weight in bank.edge_weights(edge):
            np.testing.assert_array_equal(weight, np.full_like(weight, number))


@pytest.mark.parametrize("edge", [("b", "c"), ("a", "z"), ("z", "z")])
def test_edges_without_a_head(edge: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"There is no head for this edge. Received: edge=.* Use "
        r"\(task, task\) or an edge of the graph, once built",
    ):
        made().edge_weights(edge)


def test_there_are_no_weights_before_building() -> None:
    with pytest.raises(ValueError, match="There is no head for this edge"):
        HeadBank(heads()).edge_weights(("a", "a"))


# Errors.


@pytest.mark.parametrize(
    "given", [[layers.Dense(1)], {"a": "dense"}, {"a": layers.Dense}, None]
)
def test_heads_that_are_no_dict_of_layers(given: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`heads` must be a dict {task: Keras layer}. Received: heads=",
    ):
        HeadBank(given)


def test_heads_of_other_tasks_than_the_graph() -> None:
    with pytest.raises(
        ValueError,
        match=r"`heads` must have one entry per task \['a', 'z'\].*missing: "
        r"\['z'\], unknown: \['b', 'c', 'd'\]",
    ):
        HeadBank(heads(), TransferGraph(["a", "z"]))


def test_features_of_other_tasks_than_the_heads() -> None:
    with pytest.raises(
        ValueError, match=r"`features` must have one entry per task.*'z'"
    ):
        HeadBank(heads()).build({"a": (None, 6), "z": (None, 6)})


def test_a_clone_whose_output_has_another_shape_than_its_source() -> None:
    bank = HeadBank(
        {"a": layers.Conv2D(2, 1), "b": layers.Conv2D(1, 1)},
        TransferGraph(["a", "b"], [("a", "b")]),
    )
    with pytest.raises(
        ValueError,
        match=r"Self-auxiliary 'a' -> 'b' cannot be wired: the head of 'a' was "
        r"made for features of shape \(None, 4, 4, 3\) and gives \(4, 4, 2\). "
        r"Received: features of 'b' with shape \(None, 2, 2, 3\), on which it "
        r"gives \(2, 2, 2\). Leave the edge out, or let both branches end",
    ):
        bank.build({"a": (None, 4, 4, 3), "b": (None, 2, 2, 3)})


def test_a_clone_that_cannot_read_its_target() -> None:
    bank = HeadBank(
        {"a": layers.Conv2D(2, 1), "b": layers.Dense(1)},
        TransferGraph(["a", "b"], [("a", "b")]),
    )
    with pytest.raises(
        ValueError,
        match=r"(?s)Self-auxiliary 'a' -> 'b' cannot be wired.*features of "
        r"shape \(None, 4, 4, 3\).*Received: features of 'b' with shape "
        r"\(None, 7\)",
    ) as caught:
        bank.build({"a": (None, 4, 4, 3), "b": (None, 7)})
    assert caught.value.__cause__ is not None


def test_a_head_that_does_not_fit_its_own_features() -> None:
    bank = HeadBank({"a": layers.Conv2D(2, 1)})
    with pytest.raises(
        ValueError,
        match=r"(?s)The head of task 'a' does not fit its features. Received: "
        r"features of 'a' with shape \(None, 7\).*Change the head or the "
        "encoder's output",
    ):
        bank.build({"a": (None, 7)})


def test_a_misfit_without_an_edge_is_fine() -> None:
    bank = HeadBank({"a": layers.Conv2D(2, 1), "b": layers.Dense(1)})
    bank.build({"a": (None, 4, 4, 3), "b": (None, 7)})
    assert bank.built


# Plain heads, serialisation.


@BOTH
def test_plain_heads_are_the_same(stack: bool) -> None:
    bank = made(stack=stack)
    inputs = {t: keras.Input((size,)) for t, size in SIZES.items()}
    model = keras.Model(list(inputs.values()), bank.plain_heads(inputs))
    found = model(list(features().values()))
    assert list(found) == list(SIZES)
    for task, values in bank(features()).items():
        np.testing.assert_allclose(found[task], values, rtol=1e-5, atol=1e-6)
        assert type(model.get_layer(task)) is type(heads()[task])


def test_configs_go_through_json() -> None:
    bank = HeadBank(heads(), GRAPH, stack=False, name="mine")
    config = json.loads(json.dumps(layers.serialize(bank)))
    assert config["registered_name"] == "keras_selfaux>HeadBank"
    restored = layers.deserialize(config)
    assert restored.name == "mine"
    assert restored.graph == GRAPH
    assert restored.get_config() == bank.get_config()
    restored.build(shapes())
    assert restored(features())["c"].shape == (BATCH, 1)
    assert not restored.primary_stacks[0].stacked


@BOTH
def test_saved_models_come_back(tmp_path: pathlib.Path, stack: bool) -> None:
    bank = made(stack=stack)
    inputs = {t: keras.Input((size,), name=t) for t, size in SIZES.items()}
    model = keras.Model(inputs, bank(inputs))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for task, values in model(features()).items():
        np.testing.assert_allclose(restored(features())[task], values)
    for layer in restored.layers:
        if isinstance(layer, HeadBank):
            for edge in GRAPH.edges:
                np.testing.assert_array_equal(
                    layer.edge_weights(edge)[0], bank.edge_weights(edge)[0]
                )


def test_predictions_under_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    bank = made()
    inputs = {t: tf.cast(f, "float16") for t, f in features().items()}
    assert {f.dtype.name for f in bank(inputs).values()} == {"float16"}
    assert bank.edge_weights(("a", "b"))[0].dtype == "float32"


def test_heads_of_layers_that_do_not_stack() -> None:
    graph = TransferGraph.complete(["a", "b"])
    bank = HeadBank(
        {t: layers.Conv2D(2, 3, padding="same") for t in graph.tasks}, graph
    )
    inputs = {t: np.ones((2, 4, 4, 3), "float32") for t in graph.tasks}
    assert bank(inputs)["a"].shape == (2, 4, 4, 2)
    assert not bank.clone_stacks[0].stacked
    outputs = edge_outputs(bank.clones(NamedNodes.from_dict(inputs)))
    assert set(outputs) == set(graph.edges)
