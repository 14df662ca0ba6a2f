"""Two stacks run side by side give what each gives alone."""

import keras
import numpy as np
import pytest

from keras_selfaux._stacking import Nodes
from tests.cases import LAYERS
from tests.stacking.helpers import make_inputs, make_stack, run

GROUPS, FAN = 2, 3
STACKED = [name for name in LAYERS if make_stack(LAYERS[name], 1).stacked]


@pytest.mark.parametrize("name", STACKED)
def test_side_by_side_equals_one_by_one(name: str) -> None:
    case = LAYERS[name]
    first = make_stack(case, GROUPS)
    second = make_stack(case, GROUPS * FAN)
    inputs = keras.ops.convert_to_tensor(make_inputs(case, GROUPS))
    one, other = first.run_beside(second, Nodes(stacked=inputs), training=False)
    reads = [group for group in range(GROUPS) for _ in range(FAN)]
    wanted = run(first, inputs, range(GROUPS), range(GROUPS))
    np.testing.assert_allclose(one.stacked, wanted, atol=1e-5)
    wanted = run(second, inputs, reads, range(GROUPS * FAN))
    np.testing.assert_allclose(other.stacked, wanted, atol=1e-5)


def test_dropout_draws_for_every_module_alone() -> None:
    case = LAYERS["dense"]._replace(
        make=lambda: keras.layers.Dropout(0.5), shape=(200,)
    )
    first, second = make_stack(case, 1), make_stack(case, 2)
    inputs = keras.ops.ones((1, 1, 200))
    one, other = first.run_beside(second, Nodes(stacked=inputs), training=True)
    masks = [one[0], other[0], other[1]]
    masks = [keras.ops.convert_to_numpy(mask)[0] > 0 for mask in masks]
    for i, mask in enumerate(masks):
        assert 60 < mask.sum() < 140
        for later in masks[i + 1 :]:
            assert 60 < (mask == later).sum() < 140
