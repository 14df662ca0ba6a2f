"""Tables: who reads what, as a rectangle."""

from typing import Any

import numpy as np
import pytest

from keras_selfaux._stacking._kinds import Beside, lay_out
from tests.cases import LAYERS
from tests.stacking.helpers import (
    READS,
    make_inputs,
    make_pair,
    run,
    set_random_weights,
)


def star(count: int) -> tuple[list[int], list[int]]:
    """Returns who reads what where 0 gives to all others, and they to 0."""
    others = range(1, count)
    reads = [*others, *(0 for _ in others)]
    return reads, list(range(len(reads)))


RANDOM = {
    f"random_{seed}": tuple(
        np.random.default_rng(seed).integers(0, 5, (2, 12)).tolist()
    )
    for seed in range(5)
}
ALL = {
    **{name: (reads, modules) for name, (_, reads, modules) in READS.items()},
    **RANDOM,
    "star_of_50": star(50),
}


@pytest.mark.parametrize("name", ALL)
def test_every_result_has_its_place(name: str) -> None:
    reads, modules = ALL[name]
    rows, table = lay_out(reads, modules)
    assert {len(row) for row in table.rows} == {table.width}
    assert len(rows) == len(table.rows)
    for read, module, place in zip(reads, modules, table.places, strict=True):
        row, column = divmod(place, table.width)
        assert (rows[row], table.rows[row][column]) == (read, module)


@pytest.mark.parametrize("name", ALL)
def test_at_most_half_of_a_table_is_there_to_fill_it(name: str) -> None:
    reads, modules = ALL[name]
    _, table = lay_out(reads, modules)
    assert len(table.rows) * table.width <= 2 * len(reads)


def test_a_rectangle_reads_every_input_once() -> None:
    rows, table = lay_out([0, 0, 1, 1], [0, 1, 2, 0])
    assert rows == [0, 1]
    assert table.rows == [[0, 1], [2, 0]]
    assert table.places == [0, 1, 2, 3]


def test_a_star_computes_no_more_results_than_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stacked, looped = make_pair(LAYERS["dense"])
    set_random_weights(stacked, looped)
    part = stacked.parts[0]
    call, seen = part.call, []

    def watch(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        seen.append(outputs.shape[0])
        return outputs

    monkeypatch.setattr(part, "call", watch)
    reads, _ = star(6)
    modules = [number % 3 for number in range(len(reads))]
    inputs = make_inputs(LAYERS["dense"], 6)
    np.testing.assert_allclose(
        run(stacked, inputs, reads, modules),
        run(looped, inputs, reads, modules),
        rtol=1e-5,
    )
    assert seen == [len(reads)]


# In which order modules read.


class Layer:
    """All that a table asks of a layer when it counts readings."""

    def __init__(self, count: int) -> None:
        self.count = count


def test_rounds_follow_the_order_of_the_results() -> None:
    # Module 1 reads input 1, then 0; fillers of rows read nothing.
    _, table = lay_out([1, 0, 0], [1, 1, 0])
    assert len(table.rows) * table.width == 4
    rounds = [reading.rows for reading in table.rounds(Layer(3))]
    assert rounds == [[0, 1, None], [None, 0, None]]
    fanned = [reading.rows for reading in table.fanned().rounds(Layer(3))]
    assert fanned == [[1, 2, None], [None, 0, None]]


def test_rounds_of_stacks_side_by_side() -> None:
    first, second = Layer(2), Layer(4)
    table = Beside({first: second}, groups=2, fan=2)
    assert list(table.rounds(first)) == [
        (first, [0, 1]),
        (second, [0, 0, 1, 1]),
    ]
    assert list(table.fanned().rounds(first)) == [
        (first, [0, 3]),
        (second, [1, 2, 4, 5]),
    ]
