"""How functions of a model are compiled, and many steps as one XLA program.

Keras compiles one step and starts the program once per step. For a network
whose step takes a millisecond, starting costs as much as the step itself:
here the loop over `steps_per_execution` steps is a part of the program.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from keras_selfaux._logs import PackedLogs
from keras_selfaux._types import Tensor

Logs = dict[str, Tensor]


def compiled(model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of tensors that runs as the model's steps do.

    Args:
        model: The `SelfAuxModel`, compiled.
        function: Maps structures of tensors to another one. It is traced
            once for all calls with tensors of the same shapes, unless the
            model runs eagerly.
    """
    if model.run_eagerly:
        return function
    run: Callable[..., Any] = tf.function(
        function, jit_compile=model.jit_compile is True, autograph=False
    )
    return run


def outside_strategy(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function where no scope of a strategy has been entered.

    There, mirrored variables are read from their first copy, and there is
    one replica.
    """
    if not tf.distribute.has_strategy():
        return function(*arguments)
    with ThreadPoolExecutor(1) as pool:  # scopes are entered by thread
        return pool.submit(function, *arguments).result()


def can_loop(model: Any) -> bool:
    """Says whether a compiled model's steps may run as one program."""
    return (
        model.jit_compile is True
        and model.steps_per_execution > 1
        and not model.run_eagerly
        and model.distribute_strategy.num_replicas_in_sync == 1
    )


def looped_train_function(
    model: Any, otherwise: Callable[[Any], Logs]
) -> Callable[[Any], Logs]:
    """Returns a train function for `fit` that runs many steps at once.

    Args:
        model: The `SelfAuxModel`, compiled and built.
        otherwise: Keras's own train function, for what is no iterator over
            dense tensors.

    Returns:
        A function that maps an iterator to the logs, after at most
        `steps_per_execution` steps.
    """
    limit = model.steps_per_execution
    packed = PackedLogs()

    @tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
    def take_steps(batches: Any, count: Tensor) -> None:
        def step(number: Tensor) -> Tensor:
            batch = tf.nest.map_structure(lambda v: v[number], batches)
            model.train_step(batch)
            return number + 1

        tf.while_loop(lambda number: number < count, step, [tf.constant(0)])

    @tf.function(reduce_retracing=True, autograph=False)
    def execute(iterator: Any) -> tuple[Tensor, Any]:
        def take_alike(done: Tensor, upcoming: Any) -> Any:
            batches, count, upcoming = _collect(
                iterator, upcoming, limit, limit - done
            )
            take_steps(batches, count)
            return done + count, upcoming

        done, _ = tf.while_loop(
            lambda done, upcoming: (done < limit) & upcoming.has_value(),
            take_alike,
            [tf.constant(0), iterator.get_next_as_optional()],
        )
        # Read after the steps, and once for all of them.
        return done, packed.pack(model.get_metrics_result())

    def train_function(iterator: Any) -> Logs:
        if not _gives_dense_tensors(iterator):
            return otherwise(iterator)
        done, logs = execute(iterator)
        if done == 0:
            raise StopIteration
        return dict(packed.unpack(logs))

    return train_function


def _gives_dense_tensors(iterator: Any) -> bool:
    return isinstance(iterator, tf.data.Iterator) and all(
        isinstance(leaf, tf.TensorSpec)
        for leaf in tf.nest.flatten(iterator.element_spec)
    )


def _collect(
    iterator: Any, upcoming: Any, length: int, most: Tensor
) -> tuple[Any, Tensor, Any]:
    """Takes batches of one shape from an iterator and stacks them.

    Args:
        iterator: Where further batches come from.
        upcoming: The first batch, a `tf.experimental.Optional`.
        length: How many batches to stack; the last one is repeated where
            there are fewer, so that one program serves any number.
        most: How many batches to take at most.

    Returns:
        The stacked batches, how many there are, and the batch after them:
        empty if `most` were taken or the iterator ended, else the first
        one of another shape.
    """
    spec = iterator.element_spec

    def open_shapes(batch: Any) -> list[Tensor]:
        leaves = tf.nest.flatten(batch)
        known = [leaf.shape.is_fully_defined() for leaf in leaves]
        return [
            tf.shape(leaf)
            for leaf, is_known in zip(leaves, known, strict=True)
            if not is_known
        ] or [tf.zeros((0,), tf.int32)]

    shapes = tf.concat(open_shapes(upcoming.get_value()), 0)

    def is_alike(upcoming: Any) -> Tensor:
        found = tf.concat(open_shapes(upcoming.get_value()), 0)
        return tf.reduce_all(tf.equal(found, shapes))

    def goes_on(count: Tensor, upcoming: Any, _: Any) -> Tensor:
        return tf.cond(
            upcoming.has_value(),
            lambda: is_alike(upcoming),
            lambda: tf.constant(False),
        )

    def take(count: Tensor, upcoming: Any, arrays: Any) -> Any:
        leaves = tf.nest.flatten(upcoming.get_value())
        arrays = [
            array.write(count, leaf)
            for array, leaf in zip(arrays, leaves, strict=True)
        ]
        upcoming = tf.cond(
            count + 1 < most,
            iterator.get_next_as_optional,
            lambda: tf.experimental.Optional.empty(spec),
        )
        return count + 1, upcoming, arrays

    arrays = [
        tf.TensorArray(leaf.dtype, size=length, element_shape=leaf.shape)
        for leaf in tf.nest.flatten(spec)
    ]
    count, upcoming, arrays = tf.while_loop(
        goes_on, take, [tf.constant(0), upcoming, arrays]
    )
    places = tf.minimum(tf.range(length), count - 1)
    batches = [array.gather(places) for array in arrays]
    return tf.nest.pack_sequence_as(spec, batches), count, upcoming
