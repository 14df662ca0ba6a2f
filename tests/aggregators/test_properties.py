from collections.abc import Callable

import pytest

from tests.aggregators.cases import AGGREGATORS, AggregatorCase
from tests.aggregators.properties import (
    AGGREGATOR_PROPERTIES,
    graphs_compiled_by_xla_are_the_same,
)

METHODS = {name: case for name, case in AGGREGATORS.items() if case.names}


# By case first: its graphs are traced once.
@pytest.mark.parametrize(
    "holds", AGGREGATOR_PROPERTIES, ids=lambda holds: holds.__name__
)
@pytest.mark.parametrize(
    "case",
    [
        # Further settings of a method are left to the slow run.
        pytest.param(
            case, id=name, marks=[] if case.names else pytest.mark.slow
        )
        for name, case in AGGREGATORS.items()
    ],
)
def test_property(
    case: AggregatorCase, holds: Callable[[AggregatorCase], None]
) -> None:
    holds(case)


@pytest.mark.slow  # XLA takes seconds for an eigendecomposition
@pytest.mark.parametrize("case", METHODS.values(), ids=METHODS)
def test_xla(case: AggregatorCase) -> None:
    graphs_compiled_by_xla_are_the_same(case)
