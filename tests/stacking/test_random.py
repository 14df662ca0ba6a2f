"""Dropout and the like in copies."""

import numpy as np
import pytest
from keras import layers

from tests.cases import LayerCase
from tests.stacking.helpers import make_stack, run

BOTH = pytest.mark.parametrize("stack", [True, False])
SIZE = 2000
SEEDS = pytest.mark.parametrize("seed", [None, 5])


def dropout(seed: int | None = None) -> LayerCase:
    return LayerCase(lambda: layers.Dropout(0.5, seed=seed), (SIZE,))


@BOTH
def test_nothing_is_dropped_at_inference(stack: bool) -> None:
    layer = make_stack(dropout(), stack=stack)
    inputs = np.ones((1, 2, SIZE), "float32")
    for training in (None, False):
        results = run(layer, inputs, [0, 0], [0, 1], training)
        np.testing.assert_array_equal(results, np.ones((2, 2, SIZE)))


@BOTH
@SEEDS
@pytest.mark.parametrize(
    ("count", "reads"), [(1, [0, 0, 0]), (3, [0, 1, 2]), (2, [0, 1, 1])]
)
def test_copies_draw_masks_of_their_own(
    stack: bool, seed: int | None, count: int, reads: list[int]
) -> None:
    layer = make_stack(dropout(seed), stack=stack)
    inputs = np.ones((count, 2, SIZE), "float32")
    results = run(layer, inputs, reads, [0, 1, 2], training=True)
    # Six masks: three copies, two samples each.
    kept = np.reshape(np.array(results) > 0, (6, SIZE)).astype(float)
    shared = kept @ kept.T / SIZE
    np.testing.assert_allclose(np.diag(shared), 0.5, atol=0.05)
    apart = shared[~np.eye(6, dtype=bool)]
    np.testing.assert_allclose(apart, 0.25, atol=0.05)


@BOTH
@SEEDS
def test_every_call_draws_anew(stack: bool, seed: int | None) -> None:
    layer = make_stack(dropout(seed), stack=stack)
    inputs = np.ones((1, 2, SIZE), "float32")
    first = run(layer, inputs, [0], [0], training=True)
    second = run(layer, inputs, [0], [0], training=True)
    assert np.any(first != second)


def test_one_module_on_two_inputs_draws_twice() -> None:
    layer = make_stack(dropout())
    inputs = np.ones((2, 1, SIZE), "float32")
    results = run(layer, inputs, [0, 1], [0, 0], training=True)
    assert np.any(results[0] != results[1])


@BOTH
def test_what_is_kept_is_scaled(stack: bool) -> None:
    layer = make_stack(dropout(), stack=stack)
    inputs = np.ones((1, 2, SIZE), "float32")
    results = run(layer, inputs, [0], [0], training=True)
    assert set(np.unique(results)) == {0.0, 2.0}


def test_spatial_dropout_drops_whole_maps_of_each_sample() -> None:
    case = LayerCase(lambda: layers.SpatialDropout2D(0.5), (3, 3, 200))
    layer = make_stack(case)
    assert layer.stacked
    inputs = np.ones((1, 2, *case.shape), "float32")
    results = np.array(run(layer, inputs, [0, 0], [0, 1], training=True))
    np.testing.assert_array_equal(
        results, np.broadcast_to(results[:, :, :1, :1], results.shape)
    )
    assert np.any(results[0] != results[1])
