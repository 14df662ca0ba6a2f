import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._stacking import NamedNodes, Nodes

WIDE = tf.ones((2, 3))
OTHER = 2 * tf.ones((2, 3))
NARROW = 3 * tf.ones((2, 1))


def features() -> NamedNodes:
    return NamedNodes.from_dict({"a": WIDE, "b": NARROW, "c": OTHER, "d": WIDE})


def test_features_by_task() -> None:
    found = features()
    assert found["a"] is WIDE
    assert found["b"] is NARROW
    assert found["d"] is WIDE


def test_tensors_that_tasks_share_are_one_node() -> None:
    nodes, which = features().select(["d", "c", "a"])
    assert len(nodes) == 2
    assert which == [0, 1, 0]


def test_nodes_of_one_shape_are_not_copied() -> None:
    group = Nodes(stacked=tf.stack([WIDE, OTHER]))
    found = NamedNodes([group], {"a": (0, 1), "b": (0, 0)})
    nodes, which = found.select(["a", "b"])
    assert nodes is group
    assert which == [1, 0]
    np.testing.assert_array_equal(found["a"], OTHER)


@pytest.mark.parametrize("tasks", [["b"], ["a", "c"], ["c"]])
def test_selected_nodes_are_those_of_the_tasks(tasks: list[str]) -> None:
    found = features()
    nodes, which = found.select(tasks)
    for task, node in zip(tasks, which, strict=True):
        np.testing.assert_array_equal(nodes[node], found[task])


def test_equal_shapes_of_different_types_are_kept_apart() -> None:
    half = tf.cast(WIDE, "float16")
    found = NamedNodes.from_dict({"a": WIDE, "b": half})
    assert found["b"].dtype == "float16"
    assert len(found.select(["a"])[0]) == 1
