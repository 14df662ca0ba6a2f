"""Stacks that differ in nothing but how they run, and reads to run on."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_selfaux._stacking import LayerStack, Nodes, Template
from tests.cases import LAYERS, LayerCase

COUNT = 3  # modules of every stack

# Name: (number of inputs, which input each module reads, which module).
READS: dict[str, tuple[int, list[int], list[int]]] = {
    "one_input": (1, [0, 0, 0], [0, 1, 2]),
    "own_inputs": (3, [0, 1, 2], [0, 1, 2]),
    "irregular": (2, [0, 0, 1], [2, 0, 1]),
    "rectangle": (2, [0, 0, 1, 1], [0, 1, 2, 0]),
    "single": (2, [1], [1]),
    "single_input_of_one": (1, [0], [2]),
    "unread_input": (3, [2, 0, 2], [0, 1, 2]),
    "shared_module": (2, [0, 1, 1], [1, 1, 0]),
    "same_twice": (1, [0, 0], [1, 1]),
    "shuffled": (2, [1, 0, 1, 0, 1], [0, 0, 2, 1, 1]),
    # One input that many modules read, and many that one reads.
    "star": (4, [0, 0, 0, 0, 1, 2, 3], [0, 1, 2, 0, 1, 2, 0]),
}


def make_stack(case: LayerCase, count: int = COUNT, **options: Any) -> Any:
    """Returns a built stack of copies of one template."""
    stack = LayerStack([Template(case.make())] * count, **options)
    stack.build((None, *case.shape))
    return stack


def set_random_weights(*stacks: LayerStack) -> None:
    """Gives the stacks the same weights, with no zeros or ones among them."""
    rng = np.random.default_rng(1)
    for module in range(COUNT):
        # Positive, since a variance is among them.
        weights = [
            rng.uniform(0.2, 1.0, w.shape).astype(w.dtype)
            for w in stacks[0].module_weights(module)
        ]
        for stack in stacks:
            stack.set_module_weights(module, weights)


def make_pair(case: LayerCase) -> tuple[LayerStack, LayerStack]:
    """Returns a stacked and a looped stack with the same weights."""
    pair = make_stack(case), make_stack(case, stack=False)
    set_random_weights(*pair)
    return pair


@functools.cache
def shared_pair(name: str) -> tuple[LayerStack, LayerStack]:
    """Returns a pair that many tests read and none changes."""
    return make_pair(LAYERS[name])


def make_inputs(case: LayerCase, count: int, batch: int = 4) -> np.ndarray:
    """Returns random inputs of shape `(count, batch, ...)`."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, batch, *case.shape)).astype("float32")


def run(
    stack: LayerStack,
    inputs: Any,
    reads: Sequence[int],
    modules: Sequence[int],
    training: bool | None = False,
) -> Any:
    """Runs a stack on stacked inputs and returns stacked results."""
    nodes = stack.run(Nodes(stacked=inputs), reads, modules, training)
    return nodes.stacked


def gradients(
    stack: LayerStack,
    inputs: Any,
    reads: list[int],
    modules: list[int],
    training: bool = False,
) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Returns the gradients of a scalar by the inputs and by each module."""
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = run(stack, inputs, reads, modules, training)
        # Every entry counts differently, so that none can be mistaken.
        factors = tf.reshape(
            tf.linspace(-1.0, 1.0, tf.size(outputs)), tf.shape(outputs)
        )
        total = tf.reduce_sum(outputs * tf.cast(factors, outputs.dtype))
    by_input, by_weight = tape.gradient(
        total,
        (inputs, [v.value for v in stack.trainable_variables]),
        unconnected_gradients="zero",
    )
    # A gradient by part of a tensor may come as slices.
    by_weight = [tf.convert_to_tensor(value) for value in by_weight]
    by_input = tf.convert_to_tensor(by_input)
    return by_input.numpy(), _by_module(stack, by_weight)


def slopes(
    stack: LayerStack,
    inputs: Any,
    reads: list[int],
    modules: list[int],
    training: bool = False,
) -> np.ndarray:
    """Returns the derivatives of all results along one direction."""
    rng = np.random.default_rng(3)
    inputs = tf.convert_to_tensor(inputs)
    along = tf.cast(rng.normal(size=inputs.shape), inputs.dtype)
    variables = stack.trainable_variables
    stacked = stack.stacked
    shapes = (
        [v.shape[1:] for v in variables]
        if stacked
        else [v.shape for v in variables[: len(variables) // COUNT]]
    )
    # Drawn by module, so that the direction is one, however modules run.
    drawn = [[rng.normal(size=shape) for shape in shapes] for _ in range(COUNT)]
    tangents = (
        [np.stack(values) for values in zip(*drawn, strict=True)]
        if stacked
        else [value for values in drawn for value in values]
    )
    with tf.autodiff.ForwardAccumulator(
        (inputs, [v.value for v in variables]),
        (
            along,
            [
                tf.cast(tangent, v.dtype)
                for tangent, v in zip(tangents, variables, strict=True)
            ],
        ),
    ) as accumulator:
        outputs = run(stack, inputs, reads, modules, training)
    return accumulator.jvp(outputs, unconnected_gradients="zero").numpy()


def _by_module(stack: LayerStack, values: list[Any]) -> list[list[np.ndarray]]:
    if stack.stacked:
        return [[v.numpy()[i] for v in values] for i in range(COUNT)]
    size = len(values) // COUNT
    return [
        [v.numpy() for v in values[i * size : (i + 1) * size]]
        for i in range(COUNT)
    ]
