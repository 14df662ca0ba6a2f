"""Samples of one task each: the short form trains as the long one does."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_selfaux
from keras_selfaux import SingleTaskLabels, _step
from keras_selfaux._batch import as_batch
from keras_selfaux.weightings import AutoLambda

TASKS = ["a", "b", "c", "d"]
COUNT = 26
# -1 and 9 belong to no task, and task 3 has no sample at all.
OWNERS = np.random.default_rng(1).choice([-1, 0, 1, 2, 9], COUNT)

HEADS: dict[str, Any] = {
    "dense": (lambda: layers.Dense(3), (3,)),
    "two_layers": (
        lambda: keras.Sequential(
            [
                layers.Dense(6, "tanh"),
                layers.LayerNormalization(),
                layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"),
            ]
        ),
        (3,),
    ),
    "image": (lambda: layers.Conv2D(2, 1), (4, 5, 2)),
    # From here on: heads that cannot be chosen sample by sample.
    "batch_norm": (
        lambda: keras.Sequential(
            [layers.Dense(3), layers.BatchNormalization()]
        ),
        (3,),
    ),
    "looped": (
        lambda: layers.Dense(3, kernel_constraint="max_norm"),
        (3,),
    ),
}
PER_SAMPLE = ["dense", "two_layers", "image"]


def make_model(head: str, auxiliaries: Any = "all") -> Any:
    keras.utils.set_random_seed(0)
    make, shape = HEADS[head]
    if len(shape) > 1:
        stage, inputs = layers.Conv2D(5, 1, activation="tanh"), (None, 4, 5, 2)
    else:
        stage, inputs = layers.Dense(5, "tanh"), (None, 4)
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([stage, stage]),
        {task: make() for task in TASKS},
        auxiliaries,
    )
    model.build(inputs)
    return model


def make_data(head: str, *, missing: bool = False) -> tuple[Any, Any, Any]:
    """Returns inputs, labels in the short form, and in the long one."""
    rng = np.random.default_rng(0)
    shape = HEADS[head][1]
    inputs = (4, 5, 2) if len(shape) > 1 else (4,)
    x = rng.normal(size=(COUNT, *inputs)).astype("float32")
    labels = rng.normal(size=(COUNT, *shape)).astype("float32")
    if missing:
        labels[::3] = np.nan
    is_own = OWNERS.reshape(-1, *[1] * len(shape))
    long = {
        task: np.where(is_own == i, labels, np.float32(np.nan))
        for i, task in enumerate(TASKS)
    }
    return x, SingleTaskLabels(labels, OWNERS), long


def losses_and_gradients(model: Any, data: Any) -> Any:
    batch = as_batch(data, TASKS)
    theta = [tf.identity(v.value) for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        found = _step.evaluate(model, theta, batch, clones=True)
        total = tf.reduce_sum(
            found.shares * tf.range(1.0, len(found.shares) + 1)
        )
    return found.losses, tape.gradient(total, theta)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "reduction", ["mean", "sum", "mean_with_sample_weight"]
)
@pytest.mark.parametrize("head", list(HEADS))
def test_losses_and_gradients_equal_the_long_form(
    head: str, reduction: str, missing: bool
) -> None:
    x, short, long = make_data(head, missing=missing)
    model = make_model(head)
    assert model.head_bank.runs_per_sample == (head in PER_SAMPLE)
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    model.compile("sgd", loss=loss)
    weight = np.linspace(0, 2, COUNT, dtype="float32")
    found, gradient = losses_and_gradients(model, (x, short, weight))
    wanted, other = losses_and_gradients(model, (x, long, weight))
    for name in ("numerators", "denominators"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=1e-4, atol=1e-5
        )
    for task in TASKS:
        np.testing.assert_array_equal(
            found.present[task, task], wanted.present[task, task]
        )
    for one, two in zip(gradient, other, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(one), two, rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize(
    ("auxiliaries", "weighting", "jit_compile"),
    [
        pytest.param("all", AutoLambda(0.01), False, marks=pytest.mark.slow),
        pytest.param("all", "equal", True, marks=pytest.mark.slow),
        ([("a", "b"), ("c", "a")], "equal", False),
    ],
)
def test_fit_equals_the_long_form(
    auxiliaries: Any, weighting: Any, jit_compile: bool
) -> None:
    results = []
    x, *forms = make_data("dense")
    for y in forms:
        model = make_model("dense", auxiliaries)
        model.compile(
            keras.optimizers.SGD(0.05),
            loss="mse",
            metrics=["mae"],
            weighting=weighting,
            jit_compile=jit_compile,
        )
        meta = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        history = model.fit(
            x, y, batch_size=8, epochs=2, shuffle=False, verbose=0,
            meta_data=meta, validation_data=(x, y),
        ).history  # fmt: skip
        results.append((model.get_weights(), model.task_weights, history))
    (weights, omega, history), (others, other_omega, wanted) = results
    for one, two in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert omega == pytest.approx(other_omega, rel=1e-3)
    assert history.keys() == wanted.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-3)


def test_only_the_owners_clones_are_computed() -> None:
    x, short, long = make_data("dense")
    model = make_model("dense")
    model.compile("sgd", loss="mse")

    def products_of(y: Any) -> int:
        @tf.function(autograph=False)
        def losses(x: Any, y: Any) -> Any:
            theta = [v.value for v in model.trainable_variables]
            batch = as_batch((x, y), TASKS)
            return _step.evaluate(model, theta, batch, clones=True).shares

        graph = losses.get_concrete_function(x, y).graph
        return max(
            int(np.prod(op.outputs[0].shape))
            for op in graph.get_operations()
            if "MatMul" in op.type or op.type == "Sum"
        )

    # All heads on all branches: T x batch x T units x 3.
    assert products_of(long) == 4 * COUNT * 4 * 3
    assert products_of(short) < products_of(long) / 2


def test_tasks_with_losses_of_their_own_take_the_long_way() -> None:
    x, short, long = make_data("dense")
    model = make_model("dense")
    model.compile("sgd", loss={**dict.fromkeys(TASKS, "mse"), "b": "mae"})
    found, _ = losses_and_gradients(model, (x, short))
    wanted, _ = losses_and_gradients(model, (x, long))
    np.testing.assert_allclose(found.numerators, wanted.numerators, rtol=1e-5)


def test_integer_labels() -> None:
    model = make_model("dense")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss=loss, metrics=["accuracy"])
    x, _, _ = make_data("dense")
    y = SingleTaskLabels(np.arange(COUNT) % 3, OWNERS)
    first = model.evaluate(x, y, return_dict=True, verbose=0)
    model.fit(x, y, epochs=20, verbose=0)
    assert (
        model.evaluate(x, y, return_dict=True, verbose=0)["loss"]
        < first["loss"]
    )
    assert first["d_loss"] == 0.0


def test_arrays_with_sample_weights() -> None:
    """Keras gives each part of the labels a copy of the weights."""
    x, short, long = make_data("dense")
    weight = np.linspace(0, 2, COUNT, dtype="float32")
    found = []
    for y, weights in ((short, weight), (long, dict.fromkeys(TASKS, weight))):
        model = make_model("dense")
        model.compile("sgd", loss="mse")
        model.fit(x, y, sample_weight=weights, verbose=0)
        loss = model.evaluate(x, y, sample_weight=weights, verbose=0)[0]
        found.append([*model.get_weights(), loss])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_heads_with_many_weights_are_not_gathered() -> None:
    heads = {
        task: keras.Sequential([layers.Dense(200), layers.Dense(200)])
        for task in TASKS
    }
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([layers.Dense(5)]), heads
    )
    model.build((None, 4))
    assert not model.head_bank.runs_per_sample
