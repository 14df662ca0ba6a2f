"""Batch normalisation in copies: moments, and statistics that move."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_selfaux._stacking import LayerStack, Nodes
from tests.cases import LAYERS, LayerCase
from tests.replicas import two_replicas
from tests.stacking.helpers import (
    COUNT,
    READS,
    gradients,
    make_inputs,
    make_pair,
    make_stack,
    run,
    set_random_weights,
    slopes,
)

BOTH = pytest.mark.parametrize("stack", [True, False])
NAMES = ["batch_norm", "batch_norm_first", "batch_norm_plain"]


def statistics(stack: LayerStack) -> list[list[np.ndarray]]:
    """Returns all weights of every copy, the moving statistics included."""
    return [stack.module_weights(module) for module in range(COUNT)]


def assert_alike(
    one: Any, other: Any, rtol: float = 1e-4, atol: float = 1e-5
) -> None:
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol),
        one,
        other,
    )


def train_both(
    pair: tuple[LayerStack, LayerStack],
    case: LayerCase,
    count: int,
    reads: Sequence[int],
    modules: Sequence[int],
) -> None:
    """Runs both stacks on several batches and compares them each time."""
    for batch in (4, 3, 1):
        inputs = 2 * make_inputs(case, count, batch) + batch
        found, wanted = (
            run(stack, inputs, reads, modules, training=True) for stack in pair
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
        assert_alike(*map(statistics, pair))


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("name", NAMES)
def test_training_calls(name: str, reads: str) -> None:
    train_both(make_pair(LAYERS[name]), LAYERS[name], *READS[reads])


@pytest.mark.parametrize("name", NAMES)
def test_gradients_in_training(name: str) -> None:
    count, reads, modules = READS["shuffled"]
    inputs = make_inputs(LAYERS[name], count)
    arguments = inputs, reads, modules, True
    stacked, looped = make_pair(LAYERS[name])
    assert_alike(
        gradients(stacked, *arguments),
        gradients(looped, *arguments),
        rtol=1e-3,
        atol=1e-4,
    )
    assert_alike(
        slopes(stacked, *arguments),
        slopes(looped, *arguments),
        rtol=1e-3,
        atol=1e-4,
    )


def test_moments_of_an_input_are_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    moments = keras.ops.moments

    def watch(values: Any, **kwargs: Any) -> Any:
        seen.append(values.shape[0])
        return moments(values, **kwargs)

    stack = make_stack(LAYERS["batch_norm_plain"])
    monkeypatch.setattr(keras.ops, "moments", watch)
    inputs = make_inputs(LAYERS["batch_norm_plain"], 1)
    run(stack, inputs, [0, 0, 0], [0, 1, 2], training=True)
    assert seen == [1]


@BOTH
def test_statistics_move_for_the_modules_that_ran(stack: bool) -> None:
    copies = make_stack(LAYERS["batch_norm"], stack=stack)
    before = statistics(copies)
    inputs = make_inputs(LAYERS["batch_norm"], 1)
    run(copies, inputs, [0, 0], [0, 2], training=True)
    after = statistics(copies)
    assert [
        any(np.any(a != b) for a, b in zip(*pair, strict=True))
        for pair in zip(before, after, strict=True)
    ] == [True, False, True]


def test_what_others_read_leaves_a_module_alone() -> None:
    # Not even an overflow elsewhere may reach it.
    stack = make_stack(LAYERS["batch_norm_plain"])
    inputs = np.full_like(make_inputs(LAYERS["batch_norm_plain"], 1), np.nan)
    before = stack.module_weights(1)
    run(stack, inputs, [0], [0], training=True)
    assert_alike(stack.module_weights(1), before)
    assert np.all(np.isnan(stack.module_weights(0)[0]))


@BOTH
@pytest.mark.parametrize("training", [False, None])
def test_statistics_stay_at_inference(
    stack: bool, training: bool | None
) -> None:
    copies = make_stack(LAYERS["batch_norm"], stack=stack)
    before = statistics(copies)
    inputs = make_inputs(LAYERS["batch_norm"], 1)
    run(copies, inputs, [0, 0, 0], [0, 1, 2], training)
    assert_alike(statistics(copies), before, rtol=0, atol=0)


@BOTH
def test_a_stateless_scope_catches_what_moves(stack: bool) -> None:
    copies = make_stack(LAYERS["batch_norm"], stack=stack)
    set_random_weights(copies)
    before = statistics(copies)
    inputs = make_inputs(LAYERS["batch_norm"], 2)
    arguments = inputs, [0, 1, 1], [1, 1, 0]
    with keras.StatelessScope() as scope:
        run(copies, *arguments, training=True)
    assert_alike(statistics(copies), before, rtol=0, atol=0)
    updates = [
        (variable, scope.get_current_value(variable))
        for variable in copies.non_trainable_variables
    ]
    run(copies, *arguments, training=True)
    for variable, value in updates:
        if value is not None:  # a loop has variables that did not move
            np.testing.assert_allclose(variable, value, rtol=1e-6)
    moved = [value for _, value in updates if value is not None]
    assert len(moved) == (2 if stack else 4)


def test_compiled_by_xla() -> None:
    count, reads, modules = READS["shuffled"]
    inputs = make_inputs(LAYERS["batch_norm_first"], count)
    stacked, looped = make_pair(LAYERS["batch_norm_first"])

    @tf.function(jit_compile=True)
    def compiled(inputs: tf.Tensor) -> tf.Tensor:
        return run(stacked, inputs, reads, modules, training=True)

    np.testing.assert_allclose(
        compiled(inputs),
        run(looped, inputs, reads, modules, training=True),
        rtol=1e-3,
        atol=1e-4,
    )
    assert_alike(statistics(stacked), statistics(looped))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    case, (count, reads, modules) = LAYERS["batch_norm"], READS["rectangle"]
    case = case._replace(make=layers.BatchNormalization)
    pair = make_pair(case)
    # Its square is beyond float16: moments must be taken in float32.
    inputs = tf.cast(
        1000 * make_inputs(case, count),
        keras.config.dtype_policy().compute_dtype,
    )
    found, wanted = (
        run(stack, inputs, reads, modules, training=True) for stack in pair
    )
    assert found.dtype == wanted.dtype
    assert_alike(tf.cast(found, "float32"), tf.cast(wanted, "float32"), 1e-2)
    assert_alike(*map(statistics, pair))
    assert statistics(pair[0])[0][2].dtype == "float32"
    assert np.all(np.isfinite(statistics(pair[0])[0][3]))


def test_synchronized_over_replicas() -> None:
    strategy = two_replicas()
    case = LayerCase(lambda: layers.BatchNormalization(synchronized=True), (6,))
    count, reads, modules = READS["shared_module"]
    batches = tf.constant(
        [make_inputs(case, count), 3 + 2 * make_inputs(case, count)]
    )
    results = []
    for stack in (True, False):
        with strategy.scope():
            copies = make_stack(case, stack=stack)
        inputs = strategy.experimental_distribute_values_from_function(
            lambda context: batches[context.replica_id_in_sync_group]
        )

        @tf.function
        def step(inputs: Any, copies: LayerStack = copies) -> Any:
            return strategy.run(
                lambda values: run(copies, values, reads, modules, True),
                args=(inputs,),
            )

        outputs = strategy.experimental_local_results(step(inputs))
        results.append(([v.numpy() for v in outputs], statistics(copies)))
    assert_alike(*results)
    # Replicas were told of each other: the means are those of all samples.
    mean = batches.numpy()[:, 1].mean(axis=(0, 1))
    np.testing.assert_allclose(results[0][1][0][2], 0.01 * mean, rtol=1e-4)


# Side by side.


@pytest.mark.parametrize("name", NAMES)
def test_both_stacks_move_side_by_side(name: str) -> None:
    case, groups, fan = LAYERS[name], 2, 3
    pairs = [
        (make_stack(case, groups, stack=s), make_stack(case, groups * fan))
        for s in (True, True)
    ]
    for one, other in zip(*pairs, strict=True):
        for module in range(one.count):
            other.set_module_weights(module, one.module_weights(module))
    (first, second), (primary, clones) = pairs
    inputs = keras.ops.convert_to_tensor(make_inputs(case, groups))
    reads = [group for group in range(groups) for _ in range(fan)]
    for _ in range(2):
        found = first.run_beside(second, Nodes(stacked=inputs), training=True)
        wanted = (
            run(primary, inputs, range(groups), range(groups), True),
            run(clones, inputs, reads, range(groups * fan), True),
        )
        assert_alike([nodes.stacked for nodes in found], list(wanted))
    for one, other in [(first, primary), (second, clones)]:
        for module in range(one.count):
            assert_alike(
                one.module_weights(module), other.module_weights(module)
            )


def test_one_of_two_stacks_is_frozen() -> None:
    case = LAYERS["batch_norm"]
    first, second = make_stack(case, 1), make_stack(case, 2)
    second.trainable = False
    inputs = keras.ops.convert_to_tensor(make_inputs(case, 1))
    before = second.module_weights(1)
    results = first.run_beside(second, Nodes(stacked=inputs), training=True)
    assert_alike(second.module_weights(1), before, rtol=0, atol=0)
    np.testing.assert_allclose(
        results[1].stacked, run(second, inputs, [0, 0], [0, 1]), rtol=1e-5
    )
    assert np.any(first.module_weights(0)[4] != 0)
