from typing import Any

import numpy as np
import pytest

from keras_selfaux.export._difference import (
    largest_difference,
    rounding_tolerance,
)


@pytest.mark.parametrize(
    ("found", "wanted", "difference"),
    [
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.5]}, 0.2),
        ({"a": [0.1]}, {"a": [0.3]}, 0.2),
        ({"a": [np.nan, 1.0]}, {"a": [np.nan, 1.0]}, 0.0),
        ({"a": [np.nan]}, {"a": [1.0]}, np.inf),
        ({"a": [1.0]}, {"a": [np.nan]}, np.inf),
        ({"a": [np.inf]}, {"a": [-np.inf]}, np.inf),
        ({"a": [1.0]}, {"b": [1.0]}, np.inf),
        ({"a": [1.0]}, {"a": [[1.0]]}, np.inf),
        ({"a": [1]}, {"a": [1.0]}, np.inf),
        ({"a": [1, 2]}, {"a": [1, 2]}, 0.0),
        ({"a": [1, 2]}, {"a": [1, 3]}, np.inf),
        ({"a": [b"x"]}, {"a": [b"x"]}, 0.0),
        ({"a": np.zeros((0, 2))}, {"a": np.zeros((0, 2))}, 0.0),
    ],
)
def test_differences(found: Any, wanted: Any, difference: float) -> None:
    assert largest_difference([found], [wanted]) == pytest.approx(difference)


def test_coarser_types_round_more() -> None:
    types = ("float32", "float16", "bfloat16")
    found = [rounding_tolerance(precision) for precision in types]
    assert found == sorted(found) == [1e-5, 0.01, 0.08]
