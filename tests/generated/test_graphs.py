"""`TransferGraph` from arguments, matrices and files of any kind."""

import json
import pathlib
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux import TransferGraph
from keras_selfaux.graph import as_graph
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import (
    damaged_json,
    json_values,
    odd_values,
    or_odd,
    task_lists,
)

FAMILY = "transfer graph"
GRAPH = {"tasks": ["seg", "depth", "c"], "edges": [["seg", "depth"]]}

edge_lists = st.lists(
    or_odd(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))),
    max_size=4,
)


@st.composite
def graphs(draw: Any) -> TransferGraph:
    tasks = draw(task_lists)
    every = [(s, t) for s in tasks for t in tasks if s != t]
    edges = draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    return TransferGraph(tasks, edges)


@examples(60)
@given(or_odd(st.lists(or_odd(st.sampled_from("abc")))), or_odd(edge_lists))
@example([["a"], "b"], [])
@example(["a", "b"], [(["a"], "b")])
@example(["a", "b"], [(np.array(["a", "b"]), "b")])
def test_arguments(tasks: Any, edges: Any) -> None:
    graph = outcome(FAMILY, lambda: TransferGraph(tasks, edges)).value
    if graph is None:
        return
    assert graph.tasks == tuple(tasks)
    assert graph.edges == tuple(tuple(edge) for edge in edges)
    for number, task in enumerate(graph.tasks):
        row = graph.matrix()[number]
        sources = {s for s, t in graph.edges if t == task} | {task}
        assert {t for t, there in zip(tasks, row, strict=True) if there} == (
            sources
        )


@examples(30)
@given(
    st.one_of(odd_values, edge_lists, st.sampled_from(["all", "none", "most"])),
    st.lists(st.sampled_from("abc"), min_size=1, unique=True),
)
@example(np.array(["a", "b"]), ["a", "b"])
@example(TransferGraph(["a", "d"]), ["a", "b"])
def test_auxiliaries(auxiliaries: Any, tasks: list[str]) -> None:
    graph = outcome(FAMILY, lambda: as_graph(auxiliaries, tasks)).value
    if graph is not None:
        assert graph.tasks == tuple(tasks)


@examples(60)
@given(
    task_lists,
    st.data(),
    or_odd(st.floats(-2, 2)),
)
def test_matrices(tasks: list[str], data: Any, threshold: Any) -> None:
    row = st.lists(
        or_odd(st.floats(-5, 5)), min_size=len(tasks), max_size=len(tasks)
    )
    numbers = st.lists(
        st.lists(
            st.floats(allow_infinity=True),
            min_size=len(tasks),
            max_size=len(tasks),
        ),
        min_size=len(tasks),
        max_size=len(tasks),
    )
    rows = st.lists(row, min_size=len(tasks) - 1, max_size=len(tasks))
    gains = data.draw(st.one_of(numbers, numbers, rows, odd_values))
    graph = outcome(
        FAMILY, lambda: TransferGraph.from_matrix(tasks, gains, threshold)
    ).value
    if graph is None:
        return
    for i, target in enumerate(tasks):
        for j, source in enumerate(tasks):
            wanted = i != j and float(gains[i][j]) > float(threshold)
            assert ((source, target) in graph.edges) == wanted


@examples(40)
@given(graphs())
def test_a_graph_comes_back_as_it_was(
    tmp_path: pathlib.Path, graph: TransferGraph
) -> None:
    path = tmp_path / "graph.json"
    graph.to_json(path)
    assert TransferGraph.from_json(path) == graph
    assert TransferGraph.from_config(graph.get_config()) == graph
    gains = graph.matrix().astype(float)
    again = TransferGraph.from_matrix(graph.tasks, gains)
    assert set(again.edges) == set(graph.edges)


@examples(60)
@given(damaged_json(GRAPH))
@example(json.dumps({"tasks": 1, "edges": []}).encode())
def test_damaged_files(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "graph.json"
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: TransferGraph.from_json(path), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)
        return
    wanted = json.loads(content)
    assert found.value.tasks == tuple(wanted["tasks"])
    assert found.value.edges == tuple(map(tuple, wanted["edges"]))


@examples(20)
@given(json_values)
def test_configs(config: Any) -> None:
    outcome(FAMILY, lambda: TransferGraph.from_config(config))


def test_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        found = outcome(
            FAMILY, lambda path=path: TransferGraph.from_json(path), path=path
        )
        assert isinstance(found.problem, OSError)
