"""The page on discovery runs, from its first block to its last."""

import pathlib
from typing import Any

import pytest

from keras_selfaux import TransferGraph
from tests.docs.test_readme import python_blocks

PAGE = pathlib.Path(__file__).parents[2] / "docs/discovery.md"


@pytest.mark.slow
def test_the_code_runs() -> None:
    names: dict[str, Any] = {}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert names["gains"].by_seed.shape == (2, 2, 2)
    assert isinstance(names["graph"], TransferGraph)
    assert names["model"].task_weights
    assert names["affinity"].num_measurements > 0
