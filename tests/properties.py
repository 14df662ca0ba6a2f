"""What is asked of every row of a table in `cases.py`.

Each function takes a row and asserts one property; the tests of a family
run all of them over all of its rows.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux import TransferGraph, weightings
from keras_selfaux._types import Edge
from tests.cases import WeightingCase

GRAPH = TransferGraph(["a", "b", "c"], [("a", "b"), ("c", "b"), ("b", "a")])
EDGES = (*GRAPH.primaries, *GRAPH.edges)
COUNT = len(EDGES)

# Beside ordinary losses: none, tiny ones, and more than float16 can hold.
LOSSES = np.array(
    [
        [0.5, 1.0, 2.0, 0.7, 0.1, 3.0],
        [0.0, 1.0, 0.0, 0.7, 0.0, 3.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1e-8, 1e-8, 1.0, 1e-30, 1.0, 1.0],
        [7e4, 1.0, 1e-3, 7e4, 1e6, 2.0],
    ],
    "float32",
)


def make(
    case: WeightingCase, graph: TransferGraph = GRAPH, **options: Any
) -> weightings.Weighting:
    """Returns the row's weighting, built for a graph."""
    weighting = case.make(**options)
    weighting.build(graph)
    return weighting


def step(weighting: weightings.Weighting, losses: np.ndarray) -> np.ndarray:
    """Asks for weights, then updates them, as a training step does."""
    weights = weighting(keras.ops.convert_to_tensor(losses, "float32"))
    gradient = np.sin(np.arange(1.0, len(losses) + 1.0)).astype("float32")
    if weighting.needs_meta_data:
        weighting.update(keras.ops.convert_to_tensor(gradient))
    return np.array(weights)


def weights_are_finite_and_not_negative(case: WeightingCase) -> None:
    weighting = make(case)
    for losses in LOSSES:
        weights = step(weighting, losses)
        assert weights.shape == (COUNT,)
        assert np.all(np.isfinite(weights))
        assert np.all(weights >= 0)


def weights_are_float32_whatever_the_policy(case: WeightingCase) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    weighting = make(case)
    losses = keras.ops.convert_to_tensor(LOSSES[4])
    assert weighting(losses).dtype == "float32"
    assert all(
        variable.dtype == "float32" or not _is_float(variable)
        for variable in weighting.variables
    )


def weights_are_the_same_compiled(case: WeightingCase) -> None:
    eager, weighting = make(case), make(case)

    @tf.function(jit_compile=True)
    def compiled(losses: tf.Tensor) -> tf.Tensor:
        return weighting(losses)

    losses = tf.constant(LOSSES[0])
    np.testing.assert_allclose(compiled(losses), eager(losses), rtol=1e-5)


def a_json_config_gives_the_same_weights(case: WeightingCase) -> None:
    weighting = case.make()
    config = json.loads(json.dumps(weightings.serialize(weighting)))
    restored = weightings.deserialize(config)
    assert type(restored) is type(weighting)
    assert restored.name == weighting.name
    assert restored.get_config() == weighting.get_config()
    restored.build(GRAPH)
    weighting.build(GRAPH)
    for losses in LOSSES[:2]:
        np.testing.assert_array_equal(
            step(restored, losses), step(weighting, losses)
        )


def a_config_keeps_the_normalisation(case: WeightingCase) -> None:
    restored = weightings.get(
        weightings.serialize(case.make(normalize="branch"))
    )
    assert restored.normalize == "branch"


def nothing_is_trainable(case: WeightingCase) -> None:
    # The network's optimizer must not move what sets the weights.
    assert make(case).trainable_variables == []


def the_order_of_tasks_does_not_matter(case: WeightingCase) -> None:
    other_graph = TransferGraph(GRAPH.tasks[::-1], GRAPH.edges[::-1])
    order = [EDGES.index(edge) for edge in _edges(other_graph)]
    weighting, other = make(case), make(case, other_graph)
    for losses in LOSSES[:2]:
        np.testing.assert_allclose(
            np.array(other(losses[order])),
            np.array(weighting(losses))[order],
            rtol=1e-5,
        )


def equal_losses_have_equal_weights(case: WeightingCase) -> None:
    if case.equal_at is None:
        return
    for loss in (1.0, 0.25, 40.0):
        weights = make(case)(np.full(COUNT, loss, "float32"))
        np.testing.assert_allclose(weights, np.full(COUNT, case.equal_at))


def branches_can_be_normalised(case: WeightingCase) -> None:
    raw, weighting = make(case), make(case, normalize="branch")
    weights = np.array(weighting(LOSSES[0]))
    unscaled = np.array(raw(LOSSES[0]))
    for task in GRAPH.tasks:
        on_branch = np.array([target == task for _, target in EDGES])
        np.testing.assert_allclose(weights[on_branch].sum(), 1.0, rtol=1e-6)
        np.testing.assert_allclose(
            weights[on_branch],
            unscaled[on_branch] / unscaled[on_branch].sum(),
            rtol=1e-5,
        )


def one_task_alone_has_a_weight(case: WeightingCase) -> None:
    weighting = weightings.Static({}) if case.name is None else case.make()
    weighting.build(TransferGraph(["a"]))
    assert step(weighting, np.array([0.5], "float32")).shape == (1,)


def its_edges_are_the_primaries_then_the_clones(case: WeightingCase) -> None:
    assert make(case).edges == EDGES


WEIGHTING_PROPERTIES: Sequence[Callable[[WeightingCase], None]] = (
    weights_are_finite_and_not_negative,
    weights_are_float32_whatever_the_policy,
    weights_are_the_same_compiled,
    a_json_config_gives_the_same_weights,
    a_config_keeps_the_normalisation,
    nothing_is_trainable,
    the_order_of_tasks_does_not_matter,
    equal_losses_have_equal_weights,
    branches_can_be_normalised,
    one_task_alone_has_a_weight,
    its_edges_are_the_primaries_then_the_clones,
)


def _edges(graph: TransferGraph) -> tuple[Edge, ...]:
    return (*graph.primaries, *graph.edges)


def _is_float(variable: Any) -> bool:
    return bool(keras.backend.is_float_dtype(variable.dtype))
