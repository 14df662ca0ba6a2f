from typing import Any

import pytest

from keras_selfaux.layers._paths import path_table, plan_stages

TASKS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("paths", "num_stages", "shared"),
    [
        ("half", 4, 2),
        ("half", 3, 2),  # rounded up
        ("half", 1, 1),
        (0, 3, 0),
        (1, 3, 1),
        (3, 3, 3),
    ],
)
def test_the_first_stages_are_shared(
    paths: Any, num_stages: int, shared: int
) -> None:
    apart = num_stages - shared
    assert path_table(paths, TASKS, num_stages) == {
        "a": [0] * shared + [0] * apart,
        "b": [0] * shared + [1] * apart,
        "c": [0] * shared + [2] * apart,
    }


def test_tables_are_kept() -> None:
    table = {"b": (0, 3), "a": [1, 0]}
    assert path_table(table, None, 2) == {"b": [0, 3], "a": [1, 0]}


def test_without_tasks_there_is_no_table_yet() -> None:
    assert path_table("half", None, 2) == {}


@pytest.mark.parametrize(
    "paths", ["third", -1, 3, 1.0, True, None, [0, 0], {"a"}]
)
def test_what_is_no_path_table(paths: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`paths` must be \"half\", a number of stages to share, or a "
        r"table .* Received: paths=.* for 2 stages. An integer must lie "
        "between 0 and 2",
    ):
        path_table(paths, TASKS, 2)


@pytest.mark.parametrize(
    "path", [[0], [0, 0, 0], [0, -1], [0, 1.0], [0, True], "00", 0, None]
)
def test_paths_that_do_not_fit_the_stages(path: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"`paths` must give task 'b' one module index per stage. "
        r"Received: .* for 2 stages. Pass a list of non-negative integers",
    ):
        path_table({"a": [0, 0], "b": path}, None, 2)


def test_common_prefixes_are_planned_once() -> None:
    table = {"a": [0, 0, 0], "b": [0, 0, 1], "c": [0, 1, 0]}
    plans, place = plan_stages(table, 3)
    assert [len(plan.modules) for plan in plans] == [1, 2, 3]
    assert [plan.num_modules for plan in plans] == [1, 2, 2]
    assert plans[0].reads == [0]
    assert plans[1].reads == [0, 0]
    assert plans[2].reads == [0, 0, 1]
    assert plans[2].modules == [0, 1, 0]
    assert place == {"a": 0, "b": 1, "c": 2}


def test_equal_paths_have_one_place() -> None:
    _, place = plan_stages({"a": [0, 1], "b": [0, 1]}, 2)
    assert place["a"] == place["b"]


def test_gaps_in_module_numbers_cost_nothing() -> None:
    plans, _ = plan_stages({"a": [7], "b": [2]}, 1)
    assert plans[0].num_modules == 2
    assert plans[0].modules == [0, 1]


def test_one_module_after_two_prefixes_is_one_module() -> None:
    plans, place = plan_stages({"a": [0, 5], "b": [1, 5]}, 2)
    assert plans[1] == (1, [0, 1], [0, 0])
    assert place == {"a": 0, "b": 1}


def test_the_order_of_tasks_changes_no_plan() -> None:
    table = {"a": [0, 0], "b": [0, 2], "c": [1, 1]}
    backwards = dict(reversed(table.items()))
    assert plan_stages(table, 2) == plan_stages(backwards, 2)
