"""The page on numbers that go wrong: its code runs, its names are right."""

import pathlib
import re

from keras_selfaux._verdict import CHOICES
from keras_selfaux.metrics._step_record import (
    GRADIENTS,
    META_LOSSES,
    REGULARIZATION,
    WEIGHTS,
)
from tests.docs.test_readme import python_blocks
from tests.integration.models import make_data, make_model

PAGE = pathlib.Path(__file__).parents[2] / "docs/troubleshooting.md"


def test_the_code_runs() -> None:
    x, y = make_data()
    names = {"model": make_model("none"), "x": x, "y": y}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert int(names["model"].optimizer.iterations) == 2


def test_every_choice_and_culprit_is_in_a_table() -> None:
    cells = re.findall(r"^\| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    assert {f'`"{choice}"`' for choice in CHOICES} <= set(cells)
    assert {REGULARIZATION, WEIGHTS, GRADIENTS, META_LOSSES} <= set(cells)
