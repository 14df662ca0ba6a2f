"""What is blamed for a step that is not finite."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux._verdict import Verdict, judge
from keras_selfaux.metrics._step_record import (
    GRADIENTS,
    HYPERGRADIENTS,
    META_LOSSES,
    OBJECTIVE,
    REGULARIZATION,
    WATCHED,
    WEIGHTS,
)

EDGES = ["a", "b"]
FINE = {
    "losses": [1.0, 2.0],
    "weights": [1.0, 0.5],
    "additional": 0.0,
    "total": 2.0,
    "gradient": [3.0, 4.0],
    "meta": [True, True],
}


def verdict_on(**changes: object) -> Verdict:
    given = {**FINE, **changes}
    numbers = {
        name: tf.constant(given[name])
        for name in ("losses", "weights", "total", "additional")
    }
    step = types.SimpleNamespace(
        **numbers,
        evaluation=types.SimpleNamespace(additional=numbers["additional"]),
    )
    gradient = [tf.constant(given["gradient"]), None]
    return judge(step, gradient, tf.constant(given["meta"]))


def blamed(verdict: Verdict) -> list[str]:
    names = [*EDGES, *WATCHED]
    finite = np.asarray(verdict.finite).tolist()
    return [n for n, is_fine in zip(names, finite, strict=True) if not is_fine]


@pytest.mark.parametrize(
    ("changes", "names", "is_overflow"),
    [
        ({}, [], False),
        ({"losses": [1.0, math.inf]}, ["b"], False),
        (
            {"losses": [math.nan, 1.0], "total": math.nan, "gradient": [0.0]}
            | {"weights": [math.nan, math.nan], "meta": [False, False]},
            ["a"],
            False,
        ),
        (
            {"additional": math.inf, "total": math.inf},
            [REGULARIZATION],
            False,
        ),
        ({"weights": [math.inf, 1.0], "total": math.inf}, [WEIGHTS], False),
        ({"total": math.inf, "gradient": [math.inf]}, [OBJECTIVE], False),
        (
            {"gradient": [1.0, math.nan], "meta": [False, False]},
            [GRADIENTS],
            True,
        ),
        ({"meta": [False, False]}, [META_LOSSES], False),
        ({"meta": [True, False]}, [HYPERGRADIENTS], True),
    ],
)
def test_what_follows_from_the_first_is_not_blamed(
    changes: dict[str, object], names: list[str], is_overflow: bool
) -> None:
    found = verdict_on(**changes)
    assert blamed(found) == names
    assert bool(found.is_good) == (not names)
    assert bool(found.is_overflow) == is_overflow
    gradient = np.asarray(changes.get("gradient", [0.0]))
    assert bool(found.has_gradient) == np.isfinite(gradient).all()
    assert float(found.objective) == pytest.approx(
        float(np.float32(changes.get("total", 2.0))), nan_ok=True
    )


def test_gradients_that_come_in_slices_are_looked_at() -> None:
    step = types.SimpleNamespace(
        losses=tf.ones(1),
        weights=tf.ones(1),
        total=tf.ones(()),
        evaluation=types.SimpleNamespace(additional=tf.zeros(())),
    )
    for value in (1.0, math.nan):
        slices = tf.IndexedSlices(tf.constant([[value]]), tf.constant([2]))
        found = judge(step, [slices], tf.ones(2, bool))
        assert bool(found.is_good) == (value == 1.0)
