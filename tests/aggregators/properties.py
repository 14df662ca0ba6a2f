"""What is asked of every row of the table in `cases.py`.

Each function takes a row and asserts one property; `test_properties.py` runs
all of them over all rows.
"""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux import aggregators
from keras_selfaux._rows import rows_of
from tests.aggregators.cases import AggregatorCase

Array = np.ndarray

NUM_ROWS, SIZE = 5, 6
DRAWS = 1000
LOSSES = np.array([0.5, 2.0, 1.0, 4.0, 0.1], "float32")


def rows(number: int) -> Array:
    """Returns the rows of a step, of which some conflict."""
    rng = np.random.default_rng(number)
    conflict = np.linspace(-0.5, 0.5, NUM_ROWS)[:, None]
    return (rng.normal(size=(NUM_ROWS, SIZE)) + conflict).astype("float32")


STEPS = [rows(number) for number in range(3)]


def built(
    aggregator: aggregators.Aggregator,
    count: int = NUM_ROWS,
    shapes: Sequence[tuple[int, ...]] = ((SIZE,),),
) -> aggregators.Aggregator:
    """Builds an aggregator for rows of tensors of these shapes."""
    aggregator.build(count)
    aggregator.build_rows([(count, *shape) for shape in shapes])
    return aggregator


def state(aggregator: aggregators.Aggregator) -> list[Array]:
    """Returns the values of all variables, seeds included."""
    return [np.array(variable) for variable in aggregator.variables]


class Steps:
    """An aggregator that takes steps, by default as a graph traced once.

    Args:
        aggregator: The aggregator, built.
        jit: Whether XLA compiles the steps.
        eager: Whether there is no graph.
    """

    def __init__(
        self,
        aggregator: aggregators.Aggregator,
        *,
        jit: bool = False,
        eager: bool = False,
    ) -> None:
        self.aggregator = aggregator
        self.function = tf.function(self._step, jit_compile=jit)
        self._take = self._step if eager else self.function
        self._start = state(aggregator)

    def _step(self, matrix: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        return self.aggregator(rows_of([matrix], losses))[0]

    def __call__(self, matrix: Array, losses: Array = LOSSES) -> Array:
        """Returns the update from rows that make up one tensor."""
        arguments = tf.constant(matrix, "float32"), tf.constant(losses)
        return np.array(self._take(*arguments))

    def several(
        self, steps: Sequence[Array] = STEPS, losses: Array = LOSSES
    ) -> Array:
        """Returns the updates of several steps."""
        return np.stack([self(step, losses) for step in steps])

    def fresh(self) -> "Steps":
        """Sets all state, seeds included, back to where it began."""
        variables = self.aggregator.variables
        for variable, value in zip(variables, self._start, strict=True):
            variable.assign(value)
        return self


@functools.cache
def _traced(case: AggregatorCase, count: int) -> Steps:
    return Steps(built(case.make(), count))


def fresh(case: AggregatorCase, count: int = NUM_ROWS) -> Steps:
    """Returns the row's aggregator for K tasks, without earlier steps."""
    return _traced(case, count).fresh()


def eager(aggregator: aggregators.Aggregator, count: int = NUM_ROWS) -> Steps:
    """Builds an aggregator for K tasks, and returns its steps."""
    return Steps(built(aggregator, count), eager=True)


def mean_updates(
    case: AggregatorCase, arguments: Sequence[tuple[Array, Array]]
) -> list[Array]:
    """Returns the mean of the first step over many draws, for each rows."""
    aggregator = built(case.make())
    memory = [v for v in aggregator.variables if "seed" not in v.path]
    start = [np.array(variable) for variable in memory]

    @tf.function(jit_compile=True)
    def total(matrix: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        found = tf.zeros(matrix.shape[1:])
        for _ in tf.range(DRAWS):
            for variable, value in zip(memory, start, strict=True):
                variable.assign(value)
            found += aggregator(rows_of([matrix], losses))[0]
        return found

    return [np.array(total(*pair)) / DRAWS for pair in arguments]


def close(found: Array, expected: Array) -> None:
    """Asserts that updates from rows of length 1 or so are the same."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def weights(aggregator: aggregators.GramianAggregator, matrix: Any) -> Array:
    """Returns the coefficients of rows that make up a matrix."""
    matrix = np.array(matrix, "float32")
    return np.array(aggregator.weights(matrix @ matrix.T))


def column(*values: float) -> Array:
    """Returns numbers to multiply the rows by."""
    return np.array(values, "float32")[:, None]


def updates_are_finite_whatever_the_rows(case: AggregatorCase) -> None:
    usual = STEPS[0]
    hard = {
        "tiny": 1e-25 * usual,
        "huge": 1e25 * usual,
        "of all sizes": column(1e-25, 1e-5, 1.0, 1e5, 1e25) * usual,
        "one zero": column(1, 0, 1, 1, 1) * usual,
        "one alone": column(0, 1, 0, 0, 0) * usual,
        "equal": usual[[0, 0, 0, 0, 0]],
        "parallel": column(1, 2, 0.1, 30, 1e-3) * usual[0],
        "opposing": column(1, -1, -1, 2, 0.5) * usual[0],
        "summing to zero": usual - usual.mean(0),
        "usual": usual,
    }
    steps = fresh(case)
    for name, matrix in hard.items():
        found = steps(matrix)
        assert found.shape == (SIZE,), name
        assert np.all(np.isfinite(found)), name
        values = state(steps.aggregator)
        assert all(np.all(np.isfinite(v)) for v in values), name


def no_rows_give_no_update(case: AggregatorCase) -> None:
    steps = fresh(case)
    np.testing.assert_array_equal(steps(0 * STEPS[0]), 0.0)
    assert np.all(np.isfinite(steps(STEPS[0])))


def an_overflow_shows_and_leaves_no_trace(case: AggregatorCase) -> None:
    steps = fresh(case)
    expected = steps.several(STEPS[:2])[1]
    failures = float(steps.aggregator.failures)
    steps = fresh(case)
    steps(STEPS[0])
    for value in (np.nan, np.inf, -np.inf):
        matrix = STEPS[1].copy()
        matrix[1, 2] = value
        assert not np.all(np.isfinite(steps(matrix))), value
        values = state(steps.aggregator)
        assert all(np.all(np.isfinite(v)) for v in values), value
    found = steps(STEPS[1])
    assert float(steps.aggregator.failures) == failures
    if case.draws:  # the bad steps had draws of their own
        assert np.all(np.isfinite(found))
    else:
        close(found, expected)


def the_order_of_tasks_does_not_matter(case: AggregatorCase) -> None:
    order = [2, 0, 3, 1, 4]
    permuted, losses = [step[order] for step in STEPS], LOSSES[order]
    if case.draws == "orders":
        found, expected = mean_updates(
            case, [(permuted[0], losses), (STEPS[0], LOSSES)]
        )
        np.testing.assert_allclose(found, expected, atol=0.3)
        return
    expected = fresh(case).several()
    close(fresh(case).several(permuted, losses), expected)


def equal_rows_give_their_sum(case: AggregatorCase) -> None:
    if case.identical is None:
        return
    row = STEPS[0][0]
    for count in (1, 2, NUM_ROWS):
        steps = eager(case.make(), 1) if count == 1 else fresh(case, count)
        np.testing.assert_allclose(
            steps(np.tile(row, (count, 1)), np.full(count, 0.7, "float32")),
            case.identical * count * row,
            rtol=1e-4,
        )


def a_zero_row_is_left_out(case: AggregatorCase) -> None:
    found = fresh(case).several([column(1, 0, 0, 1, 0) * m for m in STEPS])
    present = [0, 3]
    steps = fresh(case, len(present))
    close(found, steps.several([m[present] for m in STEPS], LOSSES[present]))


def graphs_are_the_same(case: AggregatorCase) -> None:
    steps = fresh(case)
    found = steps.several()
    assert steps.function.experimental_get_tracing_count() == 1
    close(found[:2], eager(case.make()).several(STEPS[:2]))


def graphs_compiled_by_xla_are_the_same(case: AggregatorCase) -> None:
    count = 3  # compiles in half the time that more take
    matrices, losses = [m[:count] for m in STEPS[:2]], LOSSES[:count]
    steps = Steps(built(case.make(), count), jit=True)
    found = steps.several(matrices, losses)
    # XLA makes other numbers of a seed, but always the same ones.
    again = steps.fresh() if case.draws else eager(case.make(), count)
    close(found, again.several(matrices, losses))


def rows_may_be_split_over_tensors(case: AggregatorCase) -> None:
    shapes = [(2, 1), (1,), (3,)]
    aggregator = built(case.make(), NUM_ROWS, shapes)
    parts = np.split(STEPS[0], [2, 3], axis=1)
    tensors = [
        keras.ops.reshape(part, (NUM_ROWS, *shape))
        for part, shape in zip(parts, shapes, strict=True)
    ]
    found = aggregator(rows_of(tensors, LOSSES))
    assert [tuple(part.shape) for part in found] == shapes
    if case.draws == "entries":
        return  # each tensor has its own draws
    flat = np.concatenate([np.ravel(part) for part in found])
    close(flat, fresh(case)(STEPS[0]))


def restored(aggregator: aggregators.Aggregator) -> aggregators.Aggregator:
    """Returns what comes back from the config, by way of JSON."""
    config = json.loads(json.dumps(aggregators.serialize(aggregator)))
    return aggregators.deserialize(config)


def a_json_config_brings_back_the_same(case: AggregatorCase) -> None:
    aggregator = case.make(name="mine")
    other = restored(aggregator)
    assert type(other) is type(aggregator)
    assert other.name == "mine"
    assert other.get_config() == aggregator.get_config()


def a_config_has_all_arguments(case: AggregatorCase) -> None:
    aggregator = case.make(name="mine")
    config = aggregator.get_config()
    code = type(aggregator).__init__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    assert {*names, "rows", "name"} <= set(config)
    assert config["name"] == "mine"


def config_and_state_go_on_where_they_were(case: AggregatorCase) -> None:
    steps = fresh(case)
    other = eager(restored(steps.aggregator))
    steps.several(STEPS[:2])
    store = Store()
    steps.aggregator.save_own_variables(store)
    other.aggregator.load_own_variables(store)
    for found, expected in zip(
        state(other.aggregator), state(steps.aggregator), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    close(other(STEPS[2]), steps(STEPS[2]))


def all_is_float32_whatever_the_policy(case: AggregatorCase) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    steps = eager(case.make())
    found = steps(1e6 * STEPS[0])  # more than float16 can hold
    assert found.dtype == "float32"
    assert np.all(np.isfinite(found))
    variables = steps.aggregator.non_trainable_variables
    seeds = [v for v in variables if "seed" in v.path]
    assert len(seeds) == (case.draws is not None)
    others = {v.dtype for v in variables if "seed" not in v.path}
    assert others == {"float32"}


def nothing_is_trainable(case: AggregatorCase) -> None:
    # The network's optimizer must not move what sets the update.
    assert built(case.make()).trainable_variables == []


def weights_are_what_rows_are_multiplied_by(case: AggregatorCase) -> None:
    aggregator = case.make()
    if not isinstance(aggregator, aggregators.GramianAggregator):
        assert aggregator.weights == []  # its variables, as of any layer
        return
    matrix = 40 * STEPS[0]  # so long that the rows' scale is not 1
    weights = np.array(aggregator.weights(matrix @ matrix.T))
    assert weights.dtype == "float32"
    close(weights @ matrix / 40, fresh(case)(matrix) / 40)


def features_will_do_where_inner_products_do(case: AggregatorCase) -> None:
    if isinstance(case.make(), aggregators.GramianAggregator):
        assert case.make(rows="features").get_config()["rows"] == "features"
        return
    with pytest.raises(
        ValueError,
        match=r"looks at every entry of the rows, and features of one batch "
        r"are not those of the next. Received: rows='features'. Pass",
    ):
        case.make(rows="features")


AGGREGATOR_PROPERTIES: Sequence[Callable[[AggregatorCase], None]] = (
    updates_are_finite_whatever_the_rows,
    no_rows_give_no_update,
    an_overflow_shows_and_leaves_no_trace,
    the_order_of_tasks_does_not_matter,
    equal_rows_give_their_sum,
    a_zero_row_is_left_out,
    graphs_are_the_same,
    rows_may_be_split_over_tensors,
    a_json_config_brings_back_the_same,
    a_config_has_all_arguments,
    config_and_state_go_on_where_they_were,
    all_is_float32_whatever_the_policy,
    nothing_is_trainable,
    weights_are_what_rows_are_multiplied_by,
    features_will_do_where_inner_products_do,
)


class Store(dict[str, Any]):
    """A dictionary that copies what it is given, as a file does."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, np.array(value))
