import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.weightings import RandomLossWeighting
from tests.weightings.helpers import CLONED, THREE, apply, built, weights

LOSSES = [1.0, 2.0, 3.0]


def draws(
    weighting: RandomLossWeighting, count: int, **options: object
) -> np.ndarray:
    """Returns the weights of several steps."""
    take = tf.function(weighting, autograph=False, **options)
    losses = tf.constant(LOSSES)
    return np.stack([take(losses).numpy() for _ in range(count)])


def test_weights_are_a_softmax_of_normal_numbers() -> None:
    found = draws(built(RandomLossWeighting(seed=1)), 1000)
    np.testing.assert_allclose(found.sum(1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(found.mean(0), np.ones(3), atol=0.1)
    # Differences of the logarithms are those of standard normal numbers:
    # their variance is 2, up to 5 standard errors of 2 sqrt(2 / 1000).
    logs = np.log(found)
    np.testing.assert_allclose(np.var(logs[:, 0] - logs[:, 1]), 2.0, atol=0.45)


def test_every_step_draws_anew() -> None:
    found = draws(built(RandomLossWeighting(seed=1)), 5)
    assert len(np.unique(found[:, 0])) == 5


def test_losses_do_not_matter() -> None:
    first, second = (built(RandomLossWeighting(seed=1)) for _ in range(2))
    np.testing.assert_array_equal(
        weights(first, LOSSES), weights(second, LOSSES[::-1])
    )


def test_a_seed_makes_draws_reproducible() -> None:
    first, second = (built(RandomLossWeighting(seed=1)) for _ in range(2))
    np.testing.assert_array_equal(draws(first, 3), draws(second, 3))


@pytest.mark.parametrize("seeds", [(1, 2), (None, None)])
def test_others_draw_others(seeds: tuple[int | None, int | None]) -> None:
    first, second = (built(RandomLossWeighting(seed=seed)) for seed in seeds)
    assert not np.any(draws(first, 3) == draws(second, 3))


def test_draws_move_on_under_xla() -> None:
    found = draws(built(RandomLossWeighting(seed=1)), 3, jit_compile=True)
    np.testing.assert_allclose(found.sum(1), 3.0, rtol=1e-6)
    assert len(np.unique(found[:, 0])) == 3


def test_what_is_absent_gets_nothing() -> None:
    weighting = built(RandomLossWeighting(seed=1), THREE)
    found = weights(weighting, [1.0, np.nan, 3.0])
    assert found[1] == 0
    np.testing.assert_allclose(found.sum(), 2.0, rtol=1e-6)


def test_clones_share_the_draw_of_their_source_by_task() -> None:
    found = weights(built(RandomLossWeighting(seed=1), CLONED), LOSSES)
    assert found[0] == found[2] != found[1]


def test_clones_have_their_own_draw_by_edge() -> None:
    weighting = built(RandomLossWeighting(seed=1, by="edge"), CLONED)
    found = weights(weighting, LOSSES)
    assert len(np.unique(found)) == 3
    np.testing.assert_allclose(found.sum(), 3.0, rtol=1e-6)


def test_a_report_does_not_draw() -> None:
    weighting = built(RandomLossWeighting(seed=1))
    applied = apply(weighting, LOSSES)
    for _ in range(2):
        np.testing.assert_array_equal(weighting.current_weights(), applied)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1"])
def test_what_is_no_seed(seed: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`seed` must be an integer of at least 0, or None. Received: "
        r"seed=.* Pass an integer for the same draws",
    ):
        RandomLossWeighting(seed=seed)
