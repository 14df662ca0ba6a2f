from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_selfaux import TransferGraph
from keras_selfaux.weightings import Equal, Weighting
from tests.properties import EDGES, GRAPH


class Squares(Weighting):
    """Weights that depend on the losses."""

    default_by = "edge"

    def raw_weights(self, losses: Any, present: Any) -> Any:
        return ops.square(losses)


def built(normalize: str | None) -> Squares:
    weighting = Squares(normalize=normalize)
    weighting.build(GRAPH)
    return weighting


def test_weights_are_those_of_the_subclass() -> None:
    losses = np.arange(6.0, dtype="float32")
    np.testing.assert_allclose(built(None)(losses), losses**2)


def test_weights_on_a_branch_are_divided_by_their_sum() -> None:
    weighting = Equal(normalize="branch")
    weighting.build(GRAPH)
    # a: itself and b; b: itself, a and c; c: itself alone.
    wanted = {
        ("a", "a"): 1 / 2,
        ("b", "b"): 1 / 3,
        ("c", "c"): 1.0,
        ("a", "b"): 1 / 3,
        ("c", "b"): 1 / 3,
        ("b", "a"): 1 / 2,
    }
    weights = np.array(weighting(np.ones(6, "float32")))
    found = dict(zip(weighting.edges, weights, strict=True))
    assert found == pytest.approx(wanted)


def test_a_branch_without_weight_stays_at_zero() -> None:
    losses = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.0], "float32")
    weights = np.array(built("branch")(losses))  # branch a: losses 0 and 5
    assert np.all(np.isfinite(weights))
    np.testing.assert_array_equal(weights[[0, 5]], [0.0, 0.0])


def test_losses_of_float16_give_weights_of_float32() -> None:
    assert built(None)(np.ones(6, "float16")).dtype == "float32"


@pytest.mark.parametrize("normalize", [None, "branch"])
def test_gradient_of_raw_is_the_derivative(normalize: str | None) -> None:
    rng = np.random.default_rng(0)
    raw = tf.constant(rng.uniform(0.1, 2.0, 6), "float32")
    gradient = tf.constant(rng.normal(size=6), "float32")
    weighting = built(normalize)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        applied = weighting(tf.sqrt(raw))  # squared again by `raw_weights`
        total = tf.reduce_sum(applied * gradient)
    np.testing.assert_allclose(
        weighting.gradient_of_raw(gradient, raw),
        tape.gradient(total, raw),
        rtol=1e-4,
        atol=1e-5,
    )


def test_gradient_of_raw_is_finite_without_weight() -> None:
    gradient = built("branch").gradient_of_raw(ops.ones((6,)), ops.zeros((6,)))
    np.testing.assert_array_equal(gradient, np.zeros(6))


def test_gradient_along_a_normalised_branch_is_zero() -> None:
    # Scaling all weights of a branch changes nothing that is applied.
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.1, 2.0, 6).astype("float32")
    gradient = rng.normal(size=6).astype("float32")
    by_raw = np.array(built("branch").gradient_of_raw(gradient, raw))
    for task in GRAPH.tasks:
        on_branch = [target == task for _, target in EDGES]
        along = np.sum((by_raw * raw)[on_branch])
        np.testing.assert_allclose(along, 0.0, atol=1e-5)


@pytest.mark.parametrize("normalize", ["task", "mean", 1, True])
def test_unknown_normalisation(normalize: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`normalize` must be one of \[None, 'branch'\]|"
        r"`normalize` must be one of \['branch', None\]",
    ):
        Squares(normalize=normalize)


def test_the_base_class_sets_no_weights() -> None:
    weighting = Weighting()
    weighting.build(TransferGraph(["a"]))
    with pytest.raises(NotImplementedError):
        weighting.raw_weights(np.ones(1), np.ones(1, bool))


def test_no_update_by_default() -> None:
    weighting = built(None)
    assert not weighting.needs_meta_data
    assert weighting.update_every == 1
    assert weighting.update(np.ones(6)) is None
