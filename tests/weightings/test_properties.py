from collections.abc import Callable

import pytest

from tests.cases import WEIGHTINGS, WeightingCase
from tests.properties import SUM_PROPERTIES, WEIGHTING_PROPERTIES

NAMES = {holds.__name__ for holds in (*WEIGHTING_PROPERTIES, *SUM_PROPERTIES)}

ASKED = [
    pytest.param(
        case,
        holds,
        id=f"{name}-{holds.__name__}",
        # Compiling is what takes long; every weighting once will do.
        marks=[pytest.mark.slow]
        if case.name is None and "xla" in holds.__name__
        else [],
    )
    for name, case in WEIGHTINGS.items()
    for holds in (*WEIGHTING_PROPERTIES, *(SUM_PROPERTIES if case.sums else ()))
    if holds.__name__ not in case.exempt
]


@pytest.mark.parametrize(("case", "holds"), ASKED)
def test_property(
    case: WeightingCase, holds: Callable[[WeightingCase], None]
) -> None:
    holds(case)


@pytest.mark.parametrize("case", WEIGHTINGS.values(), ids=WEIGHTINGS)
def test_exemptions_are_from_properties_with_a_reason(
    case: WeightingCase,
) -> None:
    assert case.exempt.keys() <= NAMES
    assert all(case.exempt.values())
