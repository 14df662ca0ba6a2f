"""Weightings that give up a task are reported, by the task's name."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux import weightings
from keras_selfaux._steps_per_execution import default_steps
from keras_selfaux.callbacks import CollapsedWeights
from tests.integration.models import (
    TASKS,
    compile_model,
    make_data,
    make_model,
)

EQUAL = {(s, t): 1.0 for s in TASKS for t in TASKS}


def warned(
    model: Any, data: Any, *, epochs: int = 3, **arguments: Any
) -> list[str]:
    """Returns the warnings of collapsed weights in a run of `fit`."""
    callback = CollapsedWeights(**arguments)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(
            *data,
            epochs=epochs,
            verbose=0,
            callbacks=[callback],
            meta_data=make_data(30),
            validation_data=data,
        )
    texts = [str(warning.message) for warning in found]
    return [text for text in texts if text.startswith("Weighting ")]


def model_with(
    weighting: Any, auxiliaries: Any = "all", **arguments: Any
) -> Any:
    model = make_model(auxiliaries)
    compile_model(model, weighting=weighting, run_eagerly=True, **arguments)
    return model


def with_weights(
    changes: Mapping[Any, float], weighting: Any = "dwa"
) -> list[str]:
    """Returns what is said of weights that one epoch ends with."""
    model = model_with(weighting)
    callback = CollapsedWeights()
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(4)
    names = [f"{s}->{t}" for s, t in model.weighting.edges]
    assert len(names) == 9
    weights = {**EQUAL, **changes}
    model.weighting.current_weights = lambda: np.float32(
        [weights[edge] for edge in model.weighting.edges]
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(2):  # once per task is enough
            callback.on_epoch_end(4)
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, None),
        ({("a", "b"): 0.0, ("c", "b"): 0.0, ("b", "a"): 1e-30}, None),
        ({("a", "a"): 0.002}, None),
        (
            {("b", "b"): 1e-4},
            "Weighting 'dynamic_weight_average' has all but dropped task 'b'. "
            "Received: the weight 0.0001, where the mean over tasks is 0.667, "
            "at the end of epoch 4. Bring the losses to one scale by "
            "`loss_weights`, or use another weighting.",
        ),
        (
            {(s, "c"): 0.0 for s in TASKS},
            "Weighting 'dynamic_weight_average' gives all losses on the branch "
            "of task 'c' 0.",
        ),
        (
            {("a", "a"): math.nan},
            "Weighting 'dynamic_weight_average' gives task 'a' a weight that "
            "is not finite. Received: nan at the end",
        ),
        (
            {("a", "b"): math.inf},
            "Weighting 'dynamic_weight_average' gives clone 'a->b' a weight "
            "that is not finite",
        ),
        # The others have not collapsed.
        (
            {("c", "c"): 2000.0},
            "Weighting 'dynamic_weight_average' has blown up the weight of "
            "task 'c'. Received: 2e+03, where 1e+03 would be 1000 times what "
            "training began with, at the end",
        ),
    ],
)
def test_what_counts_as_a_collapse(
    changes: dict[Any, float], wanted: str | None
) -> None:
    found = with_weights(changes)
    if wanted is None:
        assert found == []
    else:
        [text] = found
        assert text.startswith(wanted)


def test_a_learning_rate_is_named_where_there_is_one() -> None:
    changes = {("b", "b"): 1e-4}
    [text] = with_weights(changes, weightings.Uncertainty())
    assert "Lower the weighting's learning rate, bring the losses" in text
    [text] = with_weights(changes)
    assert "learning rate" not in text


@pytest.mark.parametrize(
    "weighting", ["equal", weightings.Static({"b": 0.0, "c": 1e-5})]
)
def test_weights_that_never_move_are_as_they_were_chosen(
    weighting: Any,
) -> None:
    assert with_weights({("b", "b"): 1e-4}, weighting) == []
    assert with_weights(dict.fromkeys(EQUAL, 0.0), weighting) == []


def test_every_task_is_named() -> None:
    found = with_weights(dict.fromkeys(EQUAL, 0.0))
    assert [text.split("task ")[1][:3] for text in found] == [
        f"'{task}'" for task in TASKS
    ]


@pytest.mark.slow
def test_auto_lambda_that_learns_too_fast() -> None:
    model = model_with(weightings.AutoLambda(10.0))
    found = warned(model, make_data())
    weights = model.task_weights
    dropped = [t for t in TASKS if weights[t, t] == 0.0]
    assert found
    for text in found:
        assert "auto_lambda" in text
        assert "Lower the weighting's learning rate" in text
    named = {t for t in TASKS if any(f"'{t}'" in text for text in found)}
    assert set(dropped) <= named
    assert len(found) == len(named)


def test_auto_lambda_that_drops_clones_alone() -> None:
    model = model_with(weightings.Static({("a", "b"): 0.0, ("c", "b"): 0.0}))
    assert warned(model, make_data()) == []


def with_losses_on_two_scales(**arguments: Any) -> tuple[Any, list[str]]:
    x, y = make_data(missing=False)
    y["b"] *= np.float32(1e4)
    # Adam's steps do not grow with the loss.
    weighting = weightings.Uncertainty(2.0)
    model = model_with(weighting, "none", optimizer="adam", **arguments)
    return model, warned(model, (x, y), epochs=12)


def test_uncertainty_with_a_loss_on_another_scale() -> None:
    model, [text] = with_losses_on_two_scales()
    assert text.startswith("Weighting 'uncertainty' has all but dropped task")
    assert "task 'b'" in text
    assert model.task_weights["b", "b"] < 1e-3
    assert "Lower the weighting's learning rate" in text


@pytest.mark.slow
def test_uncertainty_with_losses_brought_to_one_scale() -> None:
    _, found = with_losses_on_two_scales(loss_weights={"b": 1e-8})
    assert found == []


def test_weights_set_at_every_step_are_means_over_steps_with_labels() -> None:
    x, y = make_data()
    y["c"][12:] = np.nan  # none in the last batch, where its weight is 0
    model = model_with("famo", "none")
    data = (x[::-1].copy(), {t: v[::-1].copy() for t, v in y.items()})
    assert warned(model, (x, y)) == warned(model, data) == []
    y["c"][:] = np.nan
    assert warned(model, (x, y)) == []


@pytest.mark.parametrize(
    "weighting",
    [
        weightings.GeometricLoss(),
        pytest.param("famo", marks=pytest.mark.slow),
    ],
)
def test_weights_that_balance_losses_have_not_collapsed(weighting: Any) -> None:
    x, y = make_data(missing=False)
    y["b"] *= np.float32(1e3)  # its weight goes by 1 / loss
    model = model_with(weighting, "none")
    assert warned(model, (x, y), epochs=2) == []
    weights = model.task_weights
    assert weights["b", "b"] < 1e-4 * weights["a", "a"]


def test_momentary_weights_may_collapse_all_the_same() -> None:
    callback = CollapsedWeights()
    callback.set_model(model_with(weightings.GeometricLoss()))
    callback.on_train_begin()
    callback._note_means = lambda: None
    callback._means = {**EQUAL, ("a", "a"): math.inf, ("c", "c"): 2e3}
    callback._means |= {(s, "b"): 0.0 for s in TASKS}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        callback.on_epoch_end(0)
    texts = [str(warning.message) for warning in found]
    texts = [text for text in texts if text.startswith("Weighting ")]
    wanted = ["'a' a weight that is not finite", "'b' 0", "weight of task 'c'"]
    assert len(texts) == 3
    for text, part in zip(texts, wanted, strict=True):
        assert part in text


def test_it_costs_no_step_anything() -> None:
    model = make_model()
    compile_model(model)
    assert default_steps(model, {"callbacks": [CollapsedWeights()]}) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"least_share": 1.0}, r"`least_share` must be a number in \(0, 1\)"),
        ({"largest_growth": 0}, "`largest_growth` must be a positive number"),
    ],
)
def test_arguments_are_checked(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CollapsedWeights(**arguments)


def test_other_models_are_refused() -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    message = "`CollapsedWeights` needs a model with several tasks.*Sequential"
    with pytest.raises(ValueError, match=message):
        model.fit(
            np.ones((2, 1)),
            np.ones((2, 1)),
            verbose=0,
            callbacks=[CollapsedWeights()],
        )
