"""A stacked stack gives the numbers of a looped one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cases import LAYERS
from tests.stacking.helpers import (
    READS,
    gradients,
    make_inputs,
    make_pair,
    make_stack,
    run,
    set_random_weights,
    shared_pair,
    slopes,
)

# Every layer on the reads that differ most; slowly, every kind on all reads.
SOME_READS = ["unread_input", "rectangle"]
KINDS = [
    "dense_narrow",
    "einsum_ellipsis",
    "layer_norm",
    "batch_norm_first",
    "group_norm",
    "rms_norm",
    "prelu",
    "mlp",
]
STACKED = [name for name, case in LAYERS.items() if case.stacks]
LOOPED = ["conv2d_3x3", "batch_renorm", "lstm", "functional", "subclass"]
GRID = [(layer, reads) for layer in STACKED for reads in SOME_READS] + [
    pytest.param(layer, reads, marks=pytest.mark.slow)
    for layer in KINDS
    for reads in READS
    if reads not in SOME_READS
]


@pytest.mark.parametrize("name", LAYERS)
def test_what_stacks(name: str) -> None:
    stacked, looped = shared_pair(name)
    assert stacked.stacked is LAYERS[name].stacks
    assert not looped.stacked


@pytest.mark.parametrize("name", [*KINDS, "conv2d", *LOOPED])
def test_each_result_is_that_of_its_own_layer(name: str) -> None:
    case, stack = LAYERS[name], shared_pair(name)[0]
    count, reads, modules = READS["unread_input"]
    inputs = make_inputs(case, count)
    results = run(stack, inputs, reads, modules)
    for result, read, module in zip(results, reads, modules, strict=True):
        layer = case.make()
        layer(inputs[read])
        layer.set_weights(stack.module_weights(module))
        np.testing.assert_allclose(
            result, layer(inputs[read], training=False), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(("name", "reads"), GRID)
def test_outputs_and_gradients(name: str, reads: str) -> None:
    count, reads, modules = READS[reads]
    stacked, looped = shared_pair(name)
    inputs = make_inputs(LAYERS[name], count)
    results = run(stacked, inputs, reads, modules)
    assert results.shape[0] == len(reads)
    np.testing.assert_allclose(
        results, run(looped, inputs, reads, modules), rtol=1e-4, atol=1e-5
    )
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        gradients(stacked, inputs, reads, modules),
        gradients(looped, inputs, reads, modules),
    )


@pytest.mark.parametrize("name", STACKED)
def test_directional_derivatives(name: str) -> None:
    count, reads, modules = READS["rectangle"]
    stacked, looped = shared_pair(name)
    inputs = make_inputs(LAYERS[name], count)
    np.testing.assert_allclose(
        slopes(stacked, inputs, reads, modules),
        slopes(looped, inputs, reads, modules),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["dense", "conv2d_no_bias", "mlp", "lstm"])
def test_a_module_that_nobody_runs_has_no_gradient(name: str) -> None:
    inputs = make_inputs(LAYERS[name], 1)
    stack = shared_pair(name)[0]
    _, by_module = gradients(stack, inputs, [0, 0], [0, 2])
    assert all(not np.any(gradient) for gradient in by_module[1])
    assert any(np.any(gradient) for gradient in by_module[2])


@pytest.mark.parametrize("name", [*KINDS, "conv2d", "pooled"])
def test_batch_of_one(name: str) -> None:
    count, reads, modules = READS["irregular"]
    stacked, looped = shared_pair(name)
    inputs = make_inputs(LAYERS[name], count, batch=1)
    np.testing.assert_allclose(
        run(stacked, inputs, reads, modules),
        run(looped, inputs, reads, modules),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "name",
    [
        "dense_wide",
        "dense_on_sequences",
        "einsum_wide_bias",
        "batch_norm_plain",
        "instance_norm",
        "prelu_shared",
        "pooled",
        "lstm",
    ],
)
def test_batch_of_unknown_size(name: str) -> None:
    case, (count, reads, modules) = LAYERS[name], READS["irregular"]
    stacked, looped = shared_pair(name)
    spec = tf.TensorSpec((count, None, *case.shape))

    @tf.function(input_signature=[spec])
    def compiled(inputs: tf.Tensor) -> tf.Tensor:
        return run(stacked, inputs, reads, modules)

    for batch in (1, 5):
        inputs = make_inputs(case, count, batch)
        np.testing.assert_allclose(
            compiled(inputs),
            run(looped, inputs, reads, modules),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    "name",
    [
        "dense_on_sequences",
        "conv1d",
        "einsum",
        "layer_norm",
        "batch_norm_first",
        "group_norm",
        "rms_norm",
    ],
)
def test_sequences_of_unknown_length(name: str) -> None:
    case, (count, reads, modules) = LAYERS[name], READS["irregular"]
    case = case._replace(shape=(None, 6))
    stacked, looped = make_pair(case)

    @tf.function(input_signature=[tf.TensorSpec((count, None, None, 6))])
    def compiled(inputs: tf.Tensor) -> tf.Tensor:
        return run(stacked, inputs, reads, modules)

    for length in (1, 4):
        inputs = make_inputs(case._replace(shape=(length, 6)), count)
        np.testing.assert_allclose(
            compiled(inputs),
            run(looped, inputs, reads, modules),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    "name", ["dense_narrow", "einsum_middle_bias", "flatten", "group_norm"]
)
def test_compiled_by_xla(name: str) -> None:
    count, reads, modules = READS["irregular"]
    stacked, looped = shared_pair(name)
    inputs = make_inputs(LAYERS[name], count)

    @tf.function(jit_compile=True)
    def compiled(inputs: tf.Tensor) -> tf.Tensor:
        return run(stacked, inputs, reads, modules)

    np.testing.assert_allclose(
        compiled(inputs),
        run(looped, inputs, reads, modules),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        "dense",
        "einsum",
        "conv2d",
        "layer_norm",
        "batch_norm",
        "batch_norm_first",
        "group_norm",
        "rms_norm",
        "prelu",
        "mlp",
    ],
)
def test_dtype_policies(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    case, (count, reads, modules) = LAYERS[name], READS["irregular"]
    stacked, looped = make_pair(case)
    for one, other in zip(
        stacked.module_weights(0), looped.module_weights(0), strict=True
    ):
        assert one.dtype == other.dtype
    inputs = tf.cast(
        make_inputs(case, count), keras.config.dtype_policy().compute_dtype
    )
    found = run(stacked, inputs, reads, modules)
    wanted = run(looped, inputs, reads, modules)
    assert found.dtype == wanted.dtype == stacked.output_spec[1]
    tolerance = {"float64": 1e-12, "mixed_float16": 1e-2, "float16": 1e-2}
    np.testing.assert_allclose(
        tf.cast(found, "float64"),
        tf.cast(wanted, "float64"),
        rtol=tolerance[policy],
        atol=tolerance[policy],
    )


def test_policy_of_a_template_is_kept() -> None:
    case = LAYERS["dense"]._replace(
        make=lambda: keras.layers.Dense(3, dtype="mixed_float16")
    )
    stack = make_stack(case)
    inputs = make_inputs(case, 1)
    assert run(stack, inputs, [0, 0], [0, 1]).dtype == "float16"
    assert stack.module_weights(0)[0].dtype == "float32"


@pytest.mark.parametrize("name", LAYERS)
def test_output_spec(name: str) -> None:
    stack = shared_pair(name)[0]
    outputs = run(stack, make_inputs(LAYERS[name], 1), [0], [1])
    shape, dtype = stack.output_spec
    assert dtype == outputs.dtype
    assert shape[0] is None
    for known, size in zip(shape[1:], outputs.shape[2:], strict=True):
        assert known in (size, None)  # Keras may not know all sizes


@pytest.mark.parametrize(
    "name", ["dense_l2", "activity_regularizer", "orthogonal_regularizer"]
)
def test_regularisation_is_the_sum_over_copies(name: str) -> None:
    case = LAYERS[name]
    stack = make_stack(case)
    set_random_weights(stack)
    inputs = make_inputs(case, 1)
    run(stack, inputs, [0, 0, 0], [0, 1, 2])
    wanted = 0.0
    for module in range(3):
        layer = case.make()
        layer.build((None, *case.shape))
        layer.set_weights(stack.module_weights(module))
        layer(inputs[0])
        wanted += float(sum(layer.losses))
    assert wanted > 0
    np.testing.assert_allclose(float(sum(stack.losses)), wanted, rtol=1e-5)
