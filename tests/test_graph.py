import dataclasses
import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux import TransferGraph

TASKS = ["seg", "depth", "normal"]
EDGES = [("seg", "depth"), ("normal", "seg"), ("depth", "normal")]


def test_tasks_and_edges_are_kept_in_the_order_given() -> None:
    graph = TransferGraph(TASKS, EDGES)
    assert graph.tasks == tuple(TASKS)
    assert graph.edges == tuple(EDGES)


def test_no_edges_by_default() -> None:
    assert TransferGraph(["seg"]).edges == ()


def test_iterables_are_read_once() -> None:
    graph = TransferGraph(iter(TASKS), iter(EDGES))
    assert graph == TransferGraph(TASKS, EDGES)


def test_edges_given_as_lists_become_tuples() -> None:
    graph = TransferGraph(TASKS, [["seg", "depth"]])
    assert graph.edges == (("seg", "depth"),)


def test_primaries() -> None:
    assert TransferGraph(["seg", "depth"]).primaries == (
        ("seg", "seg"),
        ("depth", "depth"),
    )


def test_sources_and_targets() -> None:
    graph = TransferGraph(TASKS, [("seg", "depth"), ("normal", "depth")])
    assert graph.sources_of("depth") == ("seg", "normal")
    assert graph.targets_of("normal") == ("depth",)
    assert graph.sources_of("seg") == ()
    assert graph.targets_of("depth") == ()


# Matrices: rows are targets, columns are sources.


def test_matrix_has_targets_as_rows_and_sources_as_columns() -> None:
    matrix = TransferGraph(TASKS, [("seg", "depth")]).matrix()
    assert matrix.dtype == bool
    np.testing.assert_array_equal(
        matrix,
        [[True, False, False], [True, True, False], [False, False, True]],
    )


def test_complete_has_every_edge_ordered_by_target() -> None:
    graph = TransferGraph.complete(["a", "b", "c"])
    assert graph.edges == (
        ("b", "a"),
        ("c", "a"),
        ("a", "b"),
        ("c", "b"),
        ("a", "c"),
        ("b", "c"),
    )
    assert graph.matrix().all()


def test_complete_graph_of_one_task_has_no_edge() -> None:
    assert TransferGraph.complete(["a"]) == TransferGraph(["a"])


def test_empty_is_the_identity_matrix() -> None:
    graph = TransferGraph.empty(TASKS)
    np.testing.assert_array_equal(graph.matrix(), np.eye(3, dtype=bool))


def test_from_matrix_keeps_gains_above_zero() -> None:
    gains = [[9, 2.0, -1.0], [0.0, 9, 0.1], [-3.0, 1e-9, 9]]
    graph = TransferGraph.from_matrix(["a", "b", "c"], gains)
    # gains[target, source]: a row lists what its task gets from others.
    assert graph.edges == (("b", "a"), ("c", "b"), ("b", "c"))


def test_from_matrix_with_a_threshold_leaves_its_value_out() -> None:
    gains = [[0.0, 2.0], [2.5, 0.0]]
    graph = TransferGraph.from_matrix(["a", "b"], gains, threshold=2.0)
    assert graph.edges == (("a", "b"),)


def test_from_matrix_with_a_threshold_below_zero() -> None:
    gains = np.array([[0.0, -1.0], [-3.0, 0.0]])
    graph = TransferGraph.from_matrix(["a", "b"], gains, threshold=-2.0)
    assert graph.edges == (("b", "a"),)


@pytest.mark.parametrize("threshold", [-np.inf, -1.0, 0.0])
def test_from_matrix_leaves_unknown_gains_out(threshold: float) -> None:
    gains = [[np.nan, np.nan], [1.0, np.nan]]
    graph = TransferGraph.from_matrix(["a", "b"], gains, threshold)
    assert graph.edges == (("a", "b"),)


def test_from_matrix_inverts_matrix() -> None:
    graph = TransferGraph.from_matrix(
        TASKS, TransferGraph(TASKS, EDGES).matrix()
    )
    assert set(graph.edges) == set(EDGES)


@pytest.mark.parametrize("shape", [(2, 2), (3,), (3, 2), (1, 3, 3), ()])
def test_from_matrix_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"`gains` must be a square matrix \[target, source\].* "
        r"Received: shape .* for 3 tasks. Pass an array of shape \(3, 3\)",
    ):
        TransferGraph.from_matrix(TASKS, np.zeros(shape))


# The value.


def test_equal_graphs_have_equal_hashes() -> None:
    first, second = TransferGraph(TASKS, EDGES), TransferGraph(TASKS, EDGES)
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second}) == 1


@pytest.mark.parametrize(
    "other",
    [
        TransferGraph(TASKS, EDGES[:2]),
        TransferGraph(TASKS[::-1], EDGES),
        TransferGraph(TASKS),
        "graph",
    ],
)
def test_different_graphs_are_unequal(other: object) -> None:
    assert TransferGraph(TASKS, EDGES) != other


@pytest.mark.parametrize("name", ["tasks", "edges", "other"])
def test_graphs_cannot_be_changed(name: str) -> None:
    graph = TransferGraph(TASKS, EDGES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(graph, name, ())


def test_later_changes_of_the_arguments_do_not_matter() -> None:
    tasks, edges = list(TASKS), list(EDGES)
    graph = TransferGraph(tasks, edges)
    tasks.clear()
    edges.clear()
    assert graph == TransferGraph(TASKS, EDGES)


# Errors of tasks and edges.


@pytest.mark.parametrize("tasks", ["seg", 3, None])
@pytest.mark.parametrize(
    "make",
    [TransferGraph, TransferGraph.empty, TransferGraph.complete],
)
def test_tasks_that_are_no_list(make: type, tasks: object) -> None:
    # A string is an iterable of letters: "seg" must not become three tasks.
    with pytest.raises(ValueError, match="`tasks` must be a list of names"):
        make(tasks)


def test_tasks_of_from_matrix_that_are_no_list() -> None:
    with pytest.raises(ValueError, match="`tasks` must be a list of names"):
        TransferGraph.from_matrix("ab", np.ones((2, 2)))


@pytest.mark.parametrize("name", ["", "a/b", 3, None, ("a",)])
def test_task_names_that_cannot_be_used(name: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"`tasks` holds a name that cannot be used. Received: .* "
        "Name every task once, by a non-empty string without '/'",
    ):
        TransferGraph(["seg", name])


@pytest.mark.parametrize("tasks", [[], ["seg", "seg"]])
def test_no_tasks_or_doubled_tasks(tasks: list[str]) -> None:
    with pytest.raises(
        ValueError, match="must hold at least one name, and each only once"
    ):
        TransferGraph(tasks)


@pytest.mark.parametrize("edges", ["seg", 3, None])
def test_edges_that_are_no_list(edges: object) -> None:
    with pytest.raises(
        ValueError, match=r"`edges` must be a list of \(source, target\) pairs"
    ):
        TransferGraph(TASKS, edges)


@pytest.mark.parametrize("edge", ["sd", ("seg",), ("a", "b", "c"), 3, {}])
def test_edges_that_are_no_pairs(edge: object) -> None:
    with pytest.raises(
        ValueError, match=r"something that is not a \(source, target\) pair"
    ):
        TransferGraph(TASKS, [edge])


@pytest.mark.parametrize("edge", [("seg", "dept"), ("dept", "seg")])
def test_edge_with_an_unknown_task(edge: tuple[str, str]) -> None:
    with pytest.raises(
        ValueError,
        match=r"Edge \(.*\) names the unknown task 'dept'. Received: "
        r"tasks=\['seg', 'depth', 'normal'\]",
    ):
        TransferGraph(TASKS, [edge])


def test_edge_of_a_task_to_itself() -> None:
    with pytest.raises(
        ValueError,
        match=r"must join two different tasks. Received: \('seg', 'seg'\). "
        "Leave it out: primaries are always there",
    ):
        TransferGraph(TASKS, [("seg", "seg")])


def test_doubled_edge() -> None:
    with pytest.raises(
        ValueError,
        match=r"given only once. Received: \('seg', 'depth'\) twice",
    ):
        TransferGraph(TASKS, [("seg", "depth"), ["seg", "depth"]])


def test_opposite_edges_are_two_edges() -> None:
    edges = (("seg", "depth"), ("depth", "seg"))
    assert TransferGraph(TASKS, edges).edges == edges


# Serialisation.


def test_config_is_json_and_comes_back() -> None:
    graph = TransferGraph(TASKS, EDGES)
    config = json.loads(json.dumps(graph.get_config()))
    assert TransferGraph.from_config(config) == graph


def test_keras_serialises_it_under_the_package_name() -> None:
    graph = TransferGraph(TASKS, EDGES)
    config = keras.saving.serialize_keras_object(graph)
    assert config["registered_name"] == "keras_selfaux>TransferGraph"
    restored = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert restored == graph


@pytest.mark.parametrize(
    "graph",
    [
        TransferGraph(["straße", "深度"], [("深度", "straße")]),
        TransferGraph(["a"]),
    ],
)
def test_json_file_comes_back(
    tmp_path: pathlib.Path, graph: TransferGraph
) -> None:
    graph.to_json(tmp_path / "graph.json")
    assert TransferGraph.from_json(str(tmp_path / "graph.json")) == graph


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"tasks: [a, b]",
        b'{"tasks": ["a"], "edges": []',
        b"\xff\xfe\x00\x93binary",
        b"null",
        b"3",
        b'["a", "b"]',
        b'"tasks"',
        b"{}",
        b'{"tasks": ["a"]}',
        b'{"edges": []}',
        b'{"tasks": ["a"], "edges": [], "gains": []}',
    ],
)
def test_file_that_holds_something_else(
    tmp_path: pathlib.Path, content: bytes
) -> None:
    path = tmp_path / "graph.json"
    path.write_bytes(content)
    with pytest.raises(
        ValueError,
        match=r"graph.json' does not hold a transfer graph. Received: .*"
        r'It should hold {"tasks": \[names\], "edges": \[\[source, target\]',
    ):
        TransferGraph.from_json(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tasks": ["a"], "edges": [["a", "b"]]}, "the unknown task 'b'"),
        ({"tasks": "a", "edges": []}, "`tasks` must be a list of names"),
        ({"tasks": ["a"], "edges": None}, "`edges` must be a list"),
        ({"tasks": ["a", ["b"]], "edges": []}, "a name that cannot be used"),
    ],
)
def test_file_that_holds_an_impossible_graph(
    tmp_path: pathlib.Path, config: dict[str, object], message: str
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        TransferGraph.from_json(path)


def test_file_that_is_missing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"graph\.json"):
        TransferGraph.from_json(tmp_path / "graph.json")


@pytest.mark.parametrize("threshold", [0.5, np.float32(0.5), np.array(0.5)])
def test_a_threshold_may_be_an_array_without_axes(threshold: Any) -> None:
    gains = [[0, 1], [0.5, 0]]
    graph = TransferGraph.from_matrix(["a", "b"], gains, threshold)
    assert graph.edges == (("b", "a"),)
