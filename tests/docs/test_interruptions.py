"""The page on interruptions: its code runs, its flags exist."""

import dataclasses
import pathlib
import re

import pytest

import keras_selfaux
from examples import discover, robot_arm
from keras_selfaux.callbacks import _callback_state
from tests.docs.test_readme import python_blocks
from tests.integration.models import compile_model, make_data, make_model

PAGE = pathlib.Path(__file__).parents[2] / "docs/interruptions.md"


def test_the_code_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model()
    compile_model(model)
    x, y = make_data()
    names = {"model": model, "keras_selfaux": keras_selfaux, "x": x, "y": y}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert len(model.history.epoch) == 20
    assert not (tmp_path / "backup").exists()


def test_flags_exist() -> None:
    known = {
        field.name
        for config in (robot_arm.Config, discover.Config)
        for field in dataclasses.fields(config)
    }
    named = re.findall(r"`?--(\w+)", PAGE.read_text())
    assert {name.removeprefix("no") for name in named} <= known


def test_callbacks_that_are_kept_are_named() -> None:
    text = PAGE.read_text()
    for kind in _callback_state._ATTRIBUTES:
        assert f"`{kind.__name__}`" in text
