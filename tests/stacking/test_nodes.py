import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._stacking import Nodes
from keras_selfaux._stacking._nodes import take_static

VALUES = np.arange(24.0, dtype="float32").reshape(3, 4, 2)

FORMS = pytest.mark.parametrize(
    "make",
    [
        lambda: Nodes(stacked=keras.ops.convert_to_tensor(VALUES)),
        lambda: Nodes(items=[keras.ops.convert_to_tensor(v) for v in VALUES]),
    ],
)


@FORMS
def test_both_forms_hold_the_same(make: object) -> None:
    nodes = make()
    assert len(nodes) == 3
    assert nodes.shape == (4, 2)
    np.testing.assert_array_equal(nodes.stacked, VALUES)
    for index in range(3):
        np.testing.assert_array_equal(nodes[index], VALUES[index])


@FORMS
@pytest.mark.parametrize(
    "indices", [[0, 1, 2], [1, 2], [0], [2], [2, 0, 1], [1, 1, 0, 2]]
)
def test_take(make: object, indices: list[int]) -> None:
    taken = make().take(indices)
    assert len(taken) == len(indices)
    np.testing.assert_array_equal(taken.stacked, VALUES[indices])
    for place, index in enumerate(indices):
        np.testing.assert_array_equal(taken[place], VALUES[index])


@FORMS
def test_taking_everything_in_order_copies_nothing(make: object) -> None:
    nodes = make()
    assert nodes.take(range(3)) is nodes


def test_items_come_back_themselves() -> None:
    items = [keras.ops.convert_to_tensor(value) for value in VALUES]
    nodes = Nodes(items=items)
    assert nodes.take([2, 1])[0] is items[2]


def test_stacking_happens_once() -> None:
    nodes = Nodes(items=list(VALUES))
    assert nodes.stacked is nodes.stacked


@pytest.mark.parametrize(
    "indices", [[0, 1, 2], [0, 1], [1, 2], [2], [0, 2], [1, 0], [1, 1]]
)
def test_gradient_of_take_static(indices: list[int]) -> None:
    values = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(take_static(values, indices) * 2.0)
    found = tf.convert_to_tensor(tape.gradient(total, values))
    counts = np.array([indices.count(i) for i in range(3)])
    wanted = np.broadcast_to(2.0 * counts[:, None, None], VALUES.shape)
    np.testing.assert_array_equal(found, wanted)
