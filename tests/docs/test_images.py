"""The page on images names what there is, and its code runs."""

import pathlib
import re
from typing import Any

import matplotlib.pyplot as plt
import pytest

from keras_selfaux import architectures, datasets
from keras_selfaux.datasets import Rooms, RoomsConfig
from tests.docs.test_readme import python_blocks

PAGE = pathlib.Path(__file__).parents[2] / "docs/images.md"


def test_every_loader_and_architecture_is_there() -> None:
    named = {*re.findall(r"\b\w+\b", PAGE.read_text(encoding="utf-8"))}
    loaders = {name for name in datasets.__all__ if name.startswith("load_")}
    assert loaders | {*architectures.__all__} <= named


@pytest.mark.slow
def test_the_code_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RoomsConfig("16x24", num_train=4, num_validation=2, num_test=1)
    builder = Rooms(config=settings, data_dir=tmp_path)
    builder.download_and_prepare()
    splits = ("train", "validation")
    examples = {split: builder.as_dataset(split) for split in splits}
    monkeypatch.setattr(datasets, "load_rooms", lambda size: examples)
    names: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    for block in python_blocks(PAGE):
        exec(block, names)
    plt.close("all")
    assert len(names["model"].task_weights) == 9
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
