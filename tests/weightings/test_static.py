import json
from typing import Any

import numpy as np
import pytest

from keras_selfaux import TransferGraph, weightings
from keras_selfaux.weightings import Equal, Static
from tests.properties import GRAPH


def by_edge(weights: Any, graph: TransferGraph = GRAPH) -> dict[Any, float]:
    weighting = weights if isinstance(weights, Static) else Static(weights)
    weighting.build(graph)
    found = weighting(np.zeros(len(weighting.edges), "float32"))
    return dict(zip(weighting.edges, np.array(found).tolist(), strict=True))


def test_equal_weights_are_ones() -> None:
    weighting = Equal()
    weighting.build(GRAPH)
    np.testing.assert_array_equal(weighting(np.arange(6.0)), np.ones(6))


def test_losses_without_a_key_count_once() -> None:
    assert set(by_edge({}).values()) == {1.0}


def test_an_edge_has_a_weight_of_its_own() -> None:
    found = by_edge({("a", "b"): 0.5})
    assert found.pop(("a", "b")) == 0.5
    assert set(found.values()) == {1.0}


def test_a_task_stands_for_all_losses_on_its_labels() -> None:
    found = by_edge({"a": 2.0})
    assert {edge for edge, weight in found.items() if weight == 2.0} == {
        ("a", "a"),
        ("a", "b"),  # a clone of a's head, on b's branch
    }


@pytest.mark.parametrize("edge_first", [True, False])
def test_an_edge_counts_before_its_task(edge_first: bool) -> None:
    pairs = [(("a", "b"), 0.5), ("a", 2.0)]
    found = by_edge(dict(pairs if edge_first else pairs[::-1]))
    assert found["a", "b"] == 0.5
    assert found["a", "a"] == 2.0


def test_a_primary_can_be_named_alone() -> None:
    found = by_edge({("a", "a"): 3.0})
    assert found["a", "a"] == 3.0
    assert found["a", "b"] == 1.0


def test_zero_switches_a_loss_off() -> None:
    assert by_edge({("a", "b"): 0})["a", "b"] == 0.0


def test_numpy_numbers() -> None:
    found = by_edge({"a": np.float32(0.5), "b": np.int64(2)})
    assert found["a", "a"] == 0.5
    assert found["b", "b"] == 2.0


def test_weights_as_pairs() -> None:
    assert by_edge([["a", 2.0], [["a", "b"], 0.5]]) == by_edge(
        {"a": 2.0, ("a", "b"): 0.5}
    )


@pytest.mark.parametrize("weight", [-1.0, float("nan"), None, "1"])
def test_what_is_no_weight(weight: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`weights\[\('a', 'b'\)\]` must be zero or a positive number",
    ):
        Static({("a", "b"): weight})


@pytest.mark.parametrize(
    "key", ["d", ("b", "c"), ("a", "d"), ("a",), ("d", "d")]
)
def test_keys_without_a_loss(key: Any) -> None:
    weighting = Static({key: 1.0})
    with pytest.raises(
        ValueError,
        match=r"`weights` of `Static` names losses that the model does not "
        r"have. Received: \[.*\]. Use tasks, \['a', 'b', 'c'\], or edges",
    ):
        weighting.build(GRAPH)


def test_config_goes_through_json() -> None:
    weighting = Static(
        {"a": 2.0, ("a", "b"): 0.5}, normalize="branch", name="mine"
    )
    config = json.loads(json.dumps(weightings.serialize(weighting)))
    restored = weightings.deserialize(config)
    assert restored.name == "mine"
    assert by_edge(restored) == by_edge(weighting)


def test_large_weights_are_kept() -> None:
    weighting = Static({"a": 5e4})
    weighting.build(GRAPH)
    assert np.max(weighting(np.ones(len(weighting.edges)))) == 5e4
