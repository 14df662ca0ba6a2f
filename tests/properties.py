"""What is asked of every row of a table in `cases.py`.

Each function takes a row and asserts one property; the tests of a family
run all of them over all of its rows, but for those a row is exempt from.
"""

import json
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_selfaux import TransferGraph, weightings
from keras_selfaux._rows import Rows, rows_of
from keras_selfaux._types import Edge
from tests.cases import WeightingCase

GRAPH = TransferGraph(["a", "b", "c"], [("a", "b"), ("c", "b"), ("b", "a")])
EDGES = (*GRAPH.primaries, *GRAPH.edges)
COUNT = len(EDGES)

# Beside ordinary losses: none, tiny ones, and more than float16 can hold.
LOSSES = np.array(
    [
        [0.5, 1.0, 2.0, 0.7, 0.1, 3.0],
        [0.0, 1.0, 0.0, 0.7, 0.0, 3.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1e-8, 1e-8, 1.0, 1e-30, 1.0, 1.0],
        [7e4, 1.0, 1e-3, 7e4, 1e6, 2.0],
        [1e30, 1.0, 1e-3, 7e4, 1e38, 2.0],
        [0.6, 0.9, 1.0, 0.5, 0.3, 2.0],
    ],
    "float32",
)
# What training goes through: three epochs of one, one and two steps.
USUAL = LOSSES[[0, 6, 4, 1]]
_ENDS = (0, 1, 3)

# Of the gradients that a weighting may ask for: two shared variables.
ROW_SHAPES = ((2, 3), (4,))


def make(
    case: WeightingCase, graph: TransferGraph = GRAPH, **options: Any
) -> weightings.Weighting:
    """Returns the row's weighting, built for a graph."""
    return built(case.make(**options), graph)


def built(weighting: Any, graph: TransferGraph = GRAPH) -> weightings.Weighting:
    """Returns a weighting built as a model builds it."""
    weighting.build(graph)
    if weighting.needs_rows:
        tasks = len(graph.tasks)
        weighting.build_rows([(tasks, *shape) for shape in ROW_SHAPES])
    return weighting


def step(
    weighting: weightings.Weighting,
    losses: Any,
    counts: Any = None,
    later_losses: Any = None,
    rows: Rows | None = None,
) -> Any:
    """Returns weights, and learns from what a training step would tell."""
    losses = ops.convert_to_tensor(losses, "float32")
    counts = ops.full_like(losses, 4.0) if counts is None else counts
    counts = ops.convert_to_tensor(counts, "float32")
    raw = weighting.bounded_weights(losses, counts > 0)
    weights = weighting.weights_of_edges(raw)
    if weighting.needs_meta_data:
        weighting.update(_meta_gradient(weighting, losses, counts))
    if weighting.needs_later_losses and later_losses is None:
        later_losses = losses * _decline(weighting)
    if weighting.needs_rows and rows is None:
        rows = _rows(weighting, losses, counts, raw)
    weighting.observe(losses, counts, weights, raw, later_losses, rows)
    return weights


def run(
    weighting: weightings.Weighting,
    losses: np.ndarray = USUAL,
    counts: Any = None,
    take: Callable[..., Any] = step,
) -> np.ndarray:
    """Returns the weights of several steps, with the ends of epochs."""
    found = []
    for number, each in enumerate(losses):
        found.append(np.array(take(weighting, each, counts)))
        if number in _ENDS:
            weighting.on_epoch_end()
    return np.stack(found)


def weights_are_finite_and_within_bounds(case: WeightingCase) -> None:
    weighting = make(case)
    weights = run(weighting, np.concatenate([LOSSES, USUAL]))
    low, high = weighting.bounds
    assert weights.shape[1:] == (COUNT,)
    assert np.all(np.isfinite(weights))
    assert np.all((weights >= low) & (weights <= high))
    assert_finite(weighting)


def weights_are_float32_whatever_the_policy(case: WeightingCase) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    weighting = make(case)
    assert step(weighting, LOSSES[4]).dtype == "float32"
    assert all(
        variable.dtype == "float32" or not _is_float(variable)
        for variable in all_variables(weighting)
    )


def a_function_gives_the_same_weights_in_one_trace(case: WeightingCase) -> None:
    take, traces = _compiled(jit_compile=False)
    counts = np.full(COUNT, 4.0), _counts_without("c", EDGES)
    eager, weighting = make(case), make(case)
    for each in counts:
        np.testing.assert_allclose(
            run(weighting, USUAL, each, take),
            run(eager, USUAL, each),
            rtol=1e-4,
        )
    assert len(traces) == 1


def xla_gives_the_same_weights(case: WeightingCase) -> None:
    take, _ = _compiled(jit_compile=True)
    np.testing.assert_allclose(
        run(make(case), take=take), run(make(case)), rtol=1e-4
    )


def a_json_config_gives_the_same_weights(case: WeightingCase) -> None:
    weighting = case.make()
    config = json.loads(json.dumps(weightings.serialize(weighting)))
    restored = weightings.deserialize(config)
    assert type(restored) is type(weighting)
    assert restored.name == weighting.name
    assert restored.get_config() == weighting.get_config()
    np.testing.assert_array_equal(run(built(restored)), run(built(weighting)))


def a_config_keeps_the_normalisation(case: WeightingCase) -> None:
    restored = weightings.get(
        weightings.serialize(case.make(normalize="branch"))
    )
    assert restored.normalize == "branch"


def saved_state_goes_on(case: WeightingCase) -> None:
    weighting, restored = make(case), make(case)
    run(weighting, USUAL[:3])  # stops within an epoch
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "state.weights.h5"
        _Holder(weighting).save_weights(path)
        _Holder(restored).load_weights(path)
    np.testing.assert_array_equal(run(restored), run(weighting))


def nothing_is_trainable(case: WeightingCase) -> None:
    # The network's optimizer must not move what sets the weights.
    assert make(case).trainable_variables == []


def the_order_of_tasks_does_not_matter(case: WeightingCase) -> None:
    other_graph = TransferGraph(GRAPH.tasks[::-1], GRAPH.edges[::-1])
    order = [EDGES.index(edge) for edge in _edges(other_graph)]
    np.testing.assert_allclose(
        run(make(case, other_graph), USUAL[:, order]),
        run(make(case))[:, order],
        rtol=1e-4,
    )


def absent_tasks_leave_the_others_as_if_alone(case: WeightingCase) -> None:
    graph = TransferGraph(["a", "b"], [("a", "b"), ("b", "a")])
    shared = [EDGES.index(edge) for edge in _edges(graph)]
    wanted = run(make(case, graph), USUAL[:, shared])
    counts = _counts_without("c", EDGES)
    for given, labels in ((USUAL, counts), (_nan_for("c", USUAL), None)):
        found = run(make(case), given, labels)
        assert np.all(np.isfinite(found))
        np.testing.assert_allclose(found[:, shared], wanted, rtol=1e-4)


def absent_tasks_learn_nothing(case: WeightingCase) -> None:
    counts = _counts_without("c", EDGES)
    for given, labels in ((USUAL, counts), (_nan_for("c", USUAL), None)):
        weighting = make(case)
        run(weighting, USUAL[:2])
        before = _state_of("c", weighting)
        run(weighting, given[:2], labels)
        after = _state_of("c", weighting)
        assert after.keys() == before.keys()
        for name, value in after.items():
            np.testing.assert_array_equal(value, before[name], name)
        assert_finite(weighting)


def a_step_without_losses_teaches_nothing(case: WeightingCase) -> None:
    weighting = make(case)
    run(weighting, USUAL[:2])
    before = _state_of("abc", weighting)
    weights = run(weighting, USUAL[:2], np.zeros(COUNT))
    assert np.all(np.isfinite(weights))
    for name, value in _state_of("abc", weighting).items():
        np.testing.assert_array_equal(value, before[name], name)
    assert_finite(weighting)


def reported_weights_are_those_applied(case: WeightingCase) -> None:
    weighting = make(case)
    for losses in USUAL:
        # What no loss moves is known before the step.
        before = np.array(weighting.current_weights())
        applied = np.array(step(weighting, losses))
        if weighting.is_momentary:
            np.testing.assert_array_equal(weighting.current_weights(), applied)
        else:
            np.testing.assert_array_equal(before, applied)


def equal_losses_have_equal_weights(case: WeightingCase) -> None:
    for loss in (1.0, 0.25, 40.0):
        weights = make(case)(np.full(COUNT, loss, "float32"))
        np.testing.assert_allclose(
            weights, np.full(COUNT, case.equal_at), rtol=1e-5
        )


def branches_can_be_normalised(case: WeightingCase) -> None:
    raw, weighting = make(case), make(case, normalize="branch")
    weights = np.array(weighting(LOSSES[0]))
    unscaled = np.array(raw(LOSSES[0]))
    for task in GRAPH.tasks:
        on_branch = np.array([target == task for _, target in EDGES])
        np.testing.assert_allclose(weights[on_branch].sum(), 1.0, rtol=1e-6)
        np.testing.assert_allclose(
            weights[on_branch],
            unscaled[on_branch] / unscaled[on_branch].sum(),
            rtol=1e-5,
        )


def one_task_alone_has_a_weight(case: WeightingCase) -> None:
    weighting = make(case, TransferGraph(["a"]))
    weights = run(weighting, USUAL[:, :1])
    assert weights.shape == (len(USUAL), 1)
    assert np.all(weights > 0)


def its_edges_are_the_primaries_then_the_clones(case: WeightingCase) -> None:
    assert make(case).edges == EDGES


WEIGHTING_PROPERTIES: Sequence[Callable[[WeightingCase], None]] = (
    weights_are_finite_and_within_bounds,
    weights_are_float32_whatever_the_policy,
    a_function_gives_the_same_weights_in_one_trace,
    xla_gives_the_same_weights,
    a_json_config_gives_the_same_weights,
    a_config_keeps_the_normalisation,
    saved_state_goes_on,
    nothing_is_trainable,
    the_order_of_tasks_does_not_matter,
    absent_tasks_leave_the_others_as_if_alone,
    absent_tasks_learn_nothing,
    a_step_without_losses_teaches_nothing,
    reported_weights_are_those_applied,
    equal_losses_have_equal_weights,
    branches_can_be_normalised,
    one_task_alone_has_a_weight,
    its_edges_are_the_primaries_then_the_clones,
)


def weights_sum_to_the_number_of_losses(case: WeightingCase) -> None:
    weighting = make(case)
    count = len(weighting.units)
    weights = run(weighting)[:, :count]
    np.testing.assert_allclose(weights.sum(1), count, rtol=1e-5)


def one_task_alone_keeps_its_weight(case: WeightingCase) -> None:
    weights = run(make(case, TransferGraph(["a"])), LOSSES[:, :1])
    np.testing.assert_allclose(weights, 1.0, rtol=1e-6)


# Of rows whose weights sum to the number of losses.
SUM_PROPERTIES: Sequence[Callable[[WeightingCase], None]] = (
    weights_sum_to_the_number_of_losses,
    one_task_alone_keeps_its_weight,
)


def all_variables(weighting: weightings.Weighting) -> list[Any]:
    """Returns the variables of a weighting and of its optimizer."""
    optimizer = getattr(weighting, "optimizer", None)
    own: list[Any] = list(weighting.variables)
    return own + (optimizer.variables if optimizer else [])


def assert_finite(weighting: weightings.Weighting) -> None:
    """Asserts that a weighting's state holds neither NaN nor infinity."""
    for variable in all_variables(weighting):
        assert np.all(np.isfinite(np.array(variable))), variable.path


class _Holder(keras.Model):
    """Saves a weighting as a model does, its optimizer included."""

    def __init__(self, weighting: weightings.Weighting) -> None:
        super().__init__()
        self.weighting = weighting
        self.built = True


def _edges(graph: TransferGraph) -> tuple[Edge, ...]:
    return (*graph.primaries, *graph.edges)


def _is_float(variable: Any) -> bool:
    return bool(keras.backend.is_float_dtype(variable.dtype))


def _compiled(jit_compile: bool) -> tuple[Callable[..., Any], list[None]]:
    """Returns `step` compiled, and a list that each trace makes longer."""
    traces: list[None] = []

    @tf.function(jit_compile=jit_compile)
    def compiled(*arguments: Any) -> tf.Tensor:
        traces.append(None)
        return step(*arguments)

    def take(weighting: Any, losses: Any, counts: Any) -> Any:
        if counts is not None:
            counts = tf.constant(counts, tf.float32)
        # Each array would be traced anew.
        return compiled(weighting, tf.constant(losses), counts)

    return take, traces


def _counts_without(task: str, edges: Sequence[Edge]) -> np.ndarray:
    return np.array([0.0 if s == task else 4.0 for s, _ in edges], "float32")


def _nan_for(task: str, losses: np.ndarray) -> np.ndarray:
    return np.where(_counts_without(task, EDGES) > 0, losses, np.nan)


def _state_of(
    tasks: str, weighting: weightings.Weighting
) -> dict[str, np.ndarray]:
    """Returns the entries of the state that belong to some tasks."""
    mine = np.array([source in tasks for source, _ in weighting.units])
    return {
        variable.path: np.array(variable)[mine]
        for variable in weighting.weights
        if variable is not getattr(weighting, "applied", None)
    }


def _decline(weighting: weightings.Weighting) -> np.ndarray:
    """Returns by what factor a step lowers the loss of each edge."""
    return np.array(
        [
            0.9 - 0.1 * _number(s) + 0.03 * _number(t)
            for s, t in weighting.edges
        ],
        "float32",
    )


def _number(task: str) -> int:
    return ord(task) - ord("a")


def _meta_gradient(
    weighting: weightings.Weighting, losses: Any, counts: Any
) -> Any:
    numbers = [3.0 * _number(s) + _number(t) + 1.0 for s, t in weighting.edges]
    gradient = np.sin(np.array(numbers, "float32"))
    learned = ops.logical_and(counts > 0, ops.isfinite(losses))
    return ops.where(learned, gradient, 0.0)


def _rows(
    weighting: weightings.Weighting, losses: Any, counts: Any, raw: Any
) -> Rows:
    """Returns rows as long as the weighted losses, in different directions."""
    tasks = len(weighting.units)
    weighted = ops.where(counts[:tasks] > 0, raw * losses[:tasks], 0.0)
    tensors = []
    for shape in ROW_SHAPES:
        places = np.arange(1.0, np.prod(shape) + 1.0, dtype="float32")
        directions = np.stack(
            [
                np.sin(places * (_number(task) + 1)).reshape(shape)
                for task, _ in weighting.units
            ]
        )
        sizes = ops.reshape(weighted, (-1,) + (1,) * len(shape))
        tensors.append(sizes * directions)
    return rows_of(tensors, weighted)
