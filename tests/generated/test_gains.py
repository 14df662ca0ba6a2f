"""`TransferGains` of any arguments and files."""

import json
import math
import pathlib
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux.discovery import TransferGains
from keras_selfaux.discovery._gains import Run
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import damaged_json, odd_values, or_odd

FAMILY = "transfer gains"

_RUN = Run("a/b/seed_0", ("a", "b"), 0, 3, {"a": {"loss": math.nan}})
_GAINS = TransferGains(["a", "b"], [[0.0, 1.5], [math.nan, 0.0]], runs=[_RUN])


def _document(gains: TransferGains, folder: pathlib.Path) -> Any:
    gains.to_json(folder / "gains.json")
    return json.loads((folder / "gains.json").read_text())


_number = or_odd(st.floats())
_matrix = st.lists(
    st.lists(_number, min_size=2, max_size=2), min_size=2, max_size=2
)


@examples(50)
@given(
    or_odd(st.just(["a", "b"])),
    or_odd(st.one_of(_matrix, st.lists(_matrix, max_size=3))),
    or_odd(st.text()),
    or_odd(st.just([_RUN])),
)
@example(["a", "b"], [[0.0, 1.0], [1.0]], "gain", [])
@example(["a", "b"], [[[0.0, 1.0], [1.0, 0.0]]], "gain", 5)
def test_arguments(tasks: Any, by_seed: Any, measure: Any, runs: Any) -> None:
    gains = outcome(
        FAMILY, lambda: TransferGains(tasks, by_seed, measure, runs)
    ).value
    if gains is not None:
        assert gains.mean.shape == (2, 2)
        assert not np.diagonal(gains.mean).any()


@examples(30)
@given(
    st.lists(
        st.lists(
            st.lists(
                st.one_of(st.floats(-9, 9), st.just(math.nan)),
                min_size=3,
                max_size=3,
            ),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    ),
    or_odd(st.floats(-3, 3)),
    or_odd(st.floats(0, 2)),
)
def test_graphs_of_gains(
    tmp_path: pathlib.Path, by_seed: Any, threshold: Any, errors: Any
) -> None:
    gains = TransferGains(["a", "b", "c"], by_seed)
    gains.to_json(tmp_path / "gains.json")
    again = TransferGains.from_json(tmp_path / "gains.json")
    np.testing.assert_array_equal(gains.by_seed, again.by_seed)
    graph = outcome(FAMILY, lambda: gains.graph(threshold, errors)).value
    if graph is None:
        return
    for i, target in enumerate("abc"):
        for j, source in enumerate("abc"):
            values = np.array([matrix[i][j] for matrix in by_seed])
            least = values.mean()
            if errors:
                spread = values.std(ddof=1) / math.sqrt(len(values))
                least -= errors * spread
            assert ((source, target) in graph.edges) == (
                i != j and least > threshold
            )


@examples(80)
@given(st.data())
def test_damaged_files(tmp_path: pathlib.Path, data: Any) -> None:
    path = tmp_path / "gains.json"
    content = data.draw(damaged_json(_document(_GAINS, tmp_path)))
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: TransferGains.from_json(path), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)
        return
    # What was read can be used, and written again.
    found.value.graph()
    found.value.to_json(tmp_path / "again.json")
    again = TransferGains.from_json(tmp_path / "again.json")
    np.testing.assert_array_equal(again.by_seed, found.value.by_seed)


@examples(10)
@given(odd_values)
def test_runs_of_any_kind(run: Any) -> None:
    outcome(FAMILY, lambda: TransferGains(["a", "b"], np.eye(2), runs=[run]))
