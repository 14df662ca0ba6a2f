from typing import Any

import numpy as np
import pytest

from keras_selfaux.aggregators import Krum
from tests.aggregators.properties import STEPS, weights

# On a line. With 5 - 1 - 2 = 2 neighbours, the scores are 1 + 9 = 10,
# 1 + 4 = 5, 4 + 9 = 13, 16 + 36 = 52 and 169 + 289 = 458.
LINE = np.array([[1.0], [2.0], [4.0], [8.0], [21.0]])


def test_the_row_nearest_to_its_neighbours() -> None:
    np.testing.assert_allclose(weights(Krum(), LINE), [0, 5, 0, 0, 0])


def test_several_rows() -> None:
    found = weights(Krum(num_selected=2), LINE)
    np.testing.assert_allclose(found, [2.5, 2.5, 0, 0, 0])


def test_more_neighbours() -> None:
    # 3 neighbours: 10 + 49, 5 + 36 = 41, 13 + 16 = 29, ...
    found = weights(Krum(num_byzantine=0), LINE)
    np.testing.assert_allclose(found, [0, 0, 5, 0, 0])


def test_at_least_one_neighbour() -> None:
    # The two nearest rows have equal scores; the first counts.
    found = weights(Krum(num_byzantine=9), LINE)
    np.testing.assert_allclose(found, [5, 0, 0, 0, 0])


def test_more_rows_than_there_are() -> None:
    np.testing.assert_allclose(weights(Krum(num_selected=9), LINE), np.ones(5))


def test_rows_left_out_are_no_neighbours() -> None:
    found = weights(Krum(), [[0.0], [-1.0], [0.0], [1.5], [1.0], [2.5]])
    # Of 4 rows, one neighbour: scores 4, 0.25, 0.25 and 1.
    np.testing.assert_allclose(found, [0, 0, 0, 4, 0, 0])


def test_order_with_neighbours_enough() -> None:
    order = [3, 1, 4, 0, 2]
    for matrix in STEPS:
        found = weights(Krum(), matrix[order])
        np.testing.assert_allclose(found, weights(Krum(), matrix)[order])


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("num_byzantine", -1, 0),
        ("num_byzantine", 1.0, 0),
        ("num_selected", 0, 1),
        ("num_selected", True, 1),
    ],
)
def test_what_is_no_number(name: str, value: Any, least: int) -> None:
    with pytest.raises(
        ValueError,
        match=f"`{name}` must be an integer of at least {least}. Received: "
        f"{name}={value}. Pass",
    ):
        Krum(**{name: value})
