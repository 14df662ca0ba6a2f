"""The page on methods lists every name, and its code runs."""

import pathlib
import re
from typing import Any

import keras
import pytest

import keras_selfaux
from keras_selfaux import aggregators, weightings
from tests.docs.test_readme import python_blocks
from tests.integration.models import compile_model, make_data, make_model

PAGE = pathlib.Path(__file__).parents[2] / "docs/methods.md"


@pytest.mark.parametrize("family", [weightings, aggregators])
def test_every_method_is_in_the_table(family: Any) -> None:
    first_cells = re.findall(r"^\| (`[^|]*)\|", PAGE.read_text(), re.MULTILINE)
    listed = {n for cell in first_cells for n in re.findall(r"`(\w+)`", cell)}
    names = set(family._NAMES)
    canonical = {family.get(name).name for name in names}
    assert canonical <= listed
    # Other spellings of one word need no mention.
    spelt = {name.replace("_", "") for name in listed}
    assert {name.replace("_", "") for name in names} <= spelt


def test_the_code_runs() -> None:
    model = make_model()
    names: dict[str, Any] = {
        "model": model,
        "keras": keras,
        "keras_selfaux": keras_selfaux,
        "aggregators": aggregators,
    }
    for block in python_blocks(PAGE):
        exec(block, names)
    assert isinstance(model.aggregator, names["Halves"])
    compile_model(model, aggregator=names["Halves"]())
    model.train_on_batch(*make_data())
