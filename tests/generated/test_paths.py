"""Path tables of any type and shape, against grouping by hand."""

from typing import Any

import keras
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.layers._paths import path_table, plan_stages
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import names, odd_values, or_odd

FAMILY = "encoder paths"
_STAGE = keras.layers.Dense(2)
STAGES = 3

_indices = st.lists(
    or_odd(st.integers(-1, 4)), min_size=STAGES - 1, max_size=STAGES + 1
)
_good_paths = st.lists(st.integers(0, 4), min_size=STAGES, max_size=STAGES)
_tables = st.dictionaries(names, or_odd(_good_paths), max_size=5)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


_damaged_tables = st.dictionaries(
    or_odd(names).filter(_hashable), or_odd(_indices), max_size=3
)


@examples(60)
@given(
    st.one_of(_tables, _damaged_tables, odd_values, st.integers(-1, STAGES + 1))
)
@example("half")
@example({})
@example({"a": [0, 0, 10**400]})
@example({1: [0, 0, 0]})
def test_tables(paths: Any) -> None:
    found = outcome(FAMILY, lambda: path_table(paths, ["a", "b"], STAGES))
    if found.problem is not None:
        return
    table = found.value
    plans, place = plan_stages(table, STAGES)
    for number, plan in enumerate(plans):
        prefixes = {tuple(path[: number + 1]) for path in table.values()}
        modules = {path[number] for path in table.values()}
        assert len(plan.reads) == len(plan.modules) == len(prefixes)
        assert plan.num_modules == len(modules)
    for task, path in table.items():
        for other, its_path in table.items():
            assert (place[task] == place[other]) == (path == its_path)


@examples(2)
@given(_tables.filter(bool), st.booleans())
@example({"a": [0, 0, 0], "b": [0, 0, 0], "c": [0, 1, 0]}, True)
def test_encoders(paths: Any, stack: bool) -> None:
    """Tasks have equal features where their paths are equal, and only there.

    Every module's layer multiplies by a number of its own.
    """
    stages = [keras.layers.Dense(2, use_bias=False) for _ in range(STAGES)]

    def features() -> Any:
        encoder = BranchedEncoder(stages, paths, stack=stack)
        return encoder(np.ones((1, 2), "float32"))

    found = outcome(FAMILY, features).value
    if found is None:
        return
    assert list(found) == list(paths)
    for task, path in paths.items():
        for other, its_path in paths.items():
            same = np.array_equal(found[task], found[other])
            assert same == (list(path) == list(its_path))


@examples(20)
@given(
    or_odd(st.lists(or_odd(st.just(_STAGE)))),
    or_odd(st.just(1)),
    or_odd(st.none()),
    or_odd(st.booleans()),
)
@example(None, 1, None, True)
@example([keras.layers.Dense(2)], 1, 5, True)
@example([keras.layers.Dense(2)], {"a": [0]}, ["a", 1], True)
def test_arguments(stages: Any, paths: Any, tasks: Any, stack: Any) -> None:
    outcome(
        FAMILY,
        lambda: BranchedEncoder(stages, paths, tasks=tasks, stack=stack),
    )
