import numpy as np
import pytest
import tensorflow as tf

from tests.cases import WEIGHTINGS
from tests.properties import make, run, step
from tests.replicas import two_replicas

LEARNING = [
    "dynamic_weight_average",
    "excess_mtl",
    "famo",
    "grad_norm",
    "random_loss_weighting",
    "uncertainty",
]


@pytest.mark.parametrize("name", LEARNING)
def test_all_replicas_learn_what_one_device_learns(name: str) -> None:
    strategy = two_replicas()
    with strategy.scope():
        weighting = make(WEIGHTINGS[name])

    @tf.function(autograph=False)
    def compiled(losses: tf.Tensor) -> tf.Tensor:
        return strategy.run(step, args=(weighting, losses))

    def take(_: object, losses: np.ndarray, __: object) -> np.ndarray:
        found = strategy.experimental_local_results(
            compiled(tf.constant(losses))
        )
        np.testing.assert_array_equal(found[0], found[1])
        return found[0]

    np.testing.assert_allclose(
        run(weighting, take=take), run(make(WEIGHTINGS[name])), rtol=1e-5
    )
