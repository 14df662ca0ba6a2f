from collections.abc import Callable

import pytest

from tests.cases import WEIGHTINGS, WeightingCase
from tests.properties import WEIGHTING_PROPERTIES


@pytest.mark.parametrize(
    "holds", WEIGHTING_PROPERTIES, ids=lambda holds: holds.__name__
)
@pytest.mark.parametrize("case", WEIGHTINGS.values(), ids=WEIGHTINGS)
def test_property(
    case: WeightingCase, holds: Callable[[WeightingCase], None]
) -> None:
    holds(case)
