"""Training in half precision: what stays in float32, and what may overflow."""

import contextlib
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from keras_selfaux.weightings import AutoLambda
from tests.integration.models import (
    LEARNING_RATE,
    TASKS,
    compile_model,
    make_data,
    make_model,
)
from tests.replicas import two_replicas

# Half precision has 11 (float16) or 8 (bfloat16) significant bits.
TOLERANCE = {"mixed_float16": 1e-3, "mixed_bfloat16": 1e-2}


class RecordingAutoLambda(AutoLambda):
    """Keeps the gradient that it is handed; must run eagerly."""

    def update(self, gradient: tf.Tensor) -> None:
        self.seen = gradient.numpy()
        super().update(gradient)


def model_in(policy: str, **arguments: Any) -> keras_selfaux.SelfAuxModel:
    """Returns a model that computes by a policy; its weights are the same."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    model = make_model(**arguments)
    keras.config.set_dtype_policy("float32")
    return model


def single_task_data(count: int = 24) -> tuple[Any, Any]:
    """Returns `make_data`, whose samples have one label, in short form."""
    x, y = make_data(count)
    task = np.arange(count) % len(TASKS)
    labels = np.choose(task[:, None], [y[name] for name in TASKS])
    return x, keras_selfaux.SingleTaskLabels(labels, task)


def values_of(variables: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(v).copy() for v in variables]


def are_equal(first: list[np.ndarray], second: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]


def overflowing(factor: float = 1e6) -> tuple[Any, Any]:
    """Returns data whose gradients, times 2**15, are beyond float16."""
    x, y = make_data()
    return x, {task: values * np.float32(factor) for task, values in y.items()}


@pytest.mark.parametrize(
    ("policy", "weighting", "stack", "single"),
    [
        ("mixed_float16", "equal", True, False),
        pytest.param(
            "mixed_float16", "auto_lambda", True, True, marks=pytest.mark.slow
        ),
        ("mixed_float16", "auto_lambda", False, False),
        pytest.param(
            "mixed_bfloat16", "auto_lambda", False, True, marks=pytest.mark.slow
        ),
    ],
)
def test_half_precision_trains_as_float32(
    policy: str, weighting: str, stack: bool, single: bool
) -> None:
    make = single_task_data if single else make_data
    losses, weights = [], []
    for each in ("float32", policy):
        model = model_in(each, stack=stack)
        rule = AutoLambda(0.01) if weighting == "auto_lambda" else weighting
        compile_model(model, weighting=rule)
        losses.append(
            [
                model.train_on_batch(*make(), meta_data=make(30))[0]
                for _ in range(4)
            ]
        )
        weights.append(list(model.task_weights.values()))
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")
    np.testing.assert_allclose(*losses, rtol=TOLERANCE[policy])
    # Adam's first steps magnify what is small in a gradient.
    np.testing.assert_allclose(*weights, rtol=10 * TOLERANCE[policy])


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_all_but_the_network_is_in_float32(policy: str) -> None:
    model = model_in(policy)
    compile_model(model, weighting="auto_lambda", metrics=["mae"])
    model.train_on_batch(*make_data(), meta_data=make_data())
    state = (
        *model.weighting.variables,
        *model.weighting.optimizer.variables,
        *model.metrics_variables,
        *model.trainable_variables,
    )
    dtypes = {keras.backend.standardize_dtype(v.dtype) for v in state}
    assert dtypes - {"int32", "int64"} == {"float32"}
    x, _ = make_data()
    wanted = model.inference_model.predict(x, verbose=0)
    for task, prediction in model.predict(x, verbose=0).items():
        assert prediction.dtype == wanted[task].dtype
        assert str(prediction.dtype) == policy.removeprefix("mixed_")


def test_losses_beyond_float16_are_finite() -> None:
    x, y = overflowing(300.0)
    logs = []
    for policy in ("float32", "mixed_float16"):
        model = model_in(policy)
        compile_model(model, weighting="auto_lambda")
        logs.append(
            model.train_on_batch(x, y, meta_data=(x, y), return_dict=True)
        )
    assert min(logs[0].values()) > 70_000
    assert logs[1] == pytest.approx(logs[0], rel=1e-3)


def hypergradient(
    policy: str, loss_scale: float, loss_weights: float = 1.0
) -> np.ndarray:
    """Returns the first gradient that Auto-Lambda is handed."""
    model = model_in(policy)
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    if loss_scale != 1.0:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, loss_scale)
    rule = RecordingAutoLambda()
    compile_model(
        model,
        optimizer,
        weighting=rule,
        loss_weights=loss_weights,
        run_eagerly=True,
    )
    model.train_on_batch(*make_data(), meta_data=make_data(30))
    seen: np.ndarray = rule.seen
    return seen


@pytest.mark.slow
def test_the_hypergradient_does_not_carry_the_loss_scale() -> None:
    wanted = hypergradient("float32", 1.0)
    largest = np.abs(wanted).max()
    found = [hypergradient("mixed_float16", s) for s in (2.0, 2.0**15)]
    np.testing.assert_allclose(*found, atol=1e-4 * largest)
    np.testing.assert_allclose(found[1], wanted, atol=1e-3 * largest)


@pytest.mark.slow
def test_small_gradients_of_the_meta_loss_are_not_rounded_away() -> None:
    # As small as where an image has a hundred thousand labels.
    wanted = hypergradient("float32", 1.0, loss_weights=1e-5)
    found = hypergradient("mixed_float16", 2.0**15, loss_weights=1e-5)
    largest = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, atol=2e-3 * largest)


def test_an_overflow_skips_the_step() -> None:
    model = model_in("mixed_float16", batch_norm=True)
    compile_model(model, "adam", weighting=AutoLambda(0.01))
    data, scale = make_data(), 2.0**15

    def step(train: Any) -> float:
        model.reset_metrics()
        return sum(model.train_on_batch(*train, meta_data=data)[1:])

    def state() -> list[np.ndarray]:
        return values_of(
            [
                *model.trainable_variables,
                *model.optimizer.inner_optimizer.variables,
                *model.weighting.variables,
                *model.weighting.optimizer.variables,
            ]
        )

    first = step(data)
    for _ in range(2):
        before = state()
        statistics = values_of(model.encoder.non_trainable_variables)
        step(overflowing())
        scale /= 2
        assert float(model.optimizer.dynamic_scale) == scale
        assert all(are_equal(state(), before))
        # Statistics move in a step that is skipped, too: as in Keras.
        moved = values_of(model.encoder.non_trainable_variables)
        assert not all(are_equal(moved, statistics))
        assert all(np.isfinite(value).all() for value in moved)
    losses = [step(data) for _ in range(4)]
    assert losses[-1] < first
    assert int(model.optimizer.iterations) == 5
    assert int(model.weighting.optimizer.iterations) == 5
    assert float(model.optimizer.dynamic_scale) == scale


def test_an_overflow_of_a_clone_alone_leaves_the_task_weights_alone() -> None:
    model = model_in("mixed_float16")
    compile_model(model, weighting=AutoLambda(0.01))
    x, y = make_data()
    model.train_on_batch(x, y, meta_data=(x, y))
    # The derivative of each output is within float16; that of the bias, a
    # sum over samples, is not. It goes no further than the clone's weights.
    kernel, bias = model.head_bank.edge_weights(("a", "b"))
    far = [np.zeros_like(kernel), np.full_like(bias, 100.0)]
    model.head_bank.set_edge_weights(("a", "b"), far)
    before = values_of(
        [*model.weighting.variables, *model.weighting.optimizer.variables]
    )
    model.train_on_batch(x, y, meta_data=(x, y))
    assert float(model.optimizer.dynamic_scale) == 2.0**14
    after = values_of(
        [*model.weighting.variables, *model.weighting.optimizer.variables]
    )
    assert all(are_equal(after, before))


@pytest.mark.slow
def test_xla_trains_in_half_precision_as_without() -> None:
    weights = []
    for jit_compile in (False, True):
        model = model_in("mixed_float16")
        compile_model(
            model, weighting=AutoLambda(0.01), jit_compile=jit_compile
        )
        for _ in range(3):
            model.train_on_batch(*make_data(), meta_data=make_data(30))
        weights.append(np.concatenate([v.ravel() for v in model.get_weights()]))
        assert len(set(model.task_weights.values())) == 9
    np.testing.assert_allclose(*weights, atol=2e-3)


@pytest.mark.slow
def test_a_saved_model_trains_on_in_half_precision(
    tmp_path: pathlib.Path,
) -> None:
    model = model_in("mixed_float16")
    compile_model(model, "adam", weighting=AutoLambda(0.01))
    model.train_on_batch(*make_data(), meta_data=make_data(30))
    model.train_on_batch(*overflowing(), meta_data=make_data(30))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert float(again.optimizer.dynamic_scale) == 2.0**14
    for each in (model, again):
        each.reset_metrics()
        each.train_on_batch(*make_data(), meta_data=make_data(30))
    assert again.task_weights == model.task_weights
    assert all(are_equal(again.get_weights(), model.get_weights()))


@pytest.mark.slow
def test_two_replicas_train_as_one_in_half_precision() -> None:
    strategy = two_replicas()
    x, y = make_data(missing=False)
    # Only the second replica overflows, and no replica may step.
    over = {task: values.copy() for task, values in y.items()}
    for values in over.values():
        values[12:] *= 1e6
    good = tf.data.Dataset.from_tensor_slices((x, y)).batch(24)
    bad = tf.data.Dataset.from_tensor_slices((x, over)).batch(24)
    weights, scales = [], []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            model = model_in("mixed_float16")
            compile_model(model, weighting=AutoLambda(0.01))
        data = good.repeat(2).concatenate(bad).concatenate(good)
        model.fit(data, verbose=0, meta_data=good)
        weights.append(np.concatenate([v.ravel() for v in model.get_weights()]))
        scale = model.optimizer.dynamic_scale
        scales.append(float(keras.ops.convert_to_numpy(scale.value)))
    assert np.isfinite(weights[1]).all()
    np.testing.assert_allclose(*weights, atol=2e-3)
    assert scales == [2.0**14, 2.0**14]
