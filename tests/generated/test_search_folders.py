"""Folders of interrupted enumerations whose files are damaged."""

import json
import pathlib
import shutil
from typing import Any

import keras
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_selfaux.discovery import TransferGains, enumerate_transfer
from keras_selfaux.discovery._checkpoint import read_state
from tests.discovery.networks import build_model, make_data
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import (
    damaged_bytes,
    damaged_json,
    odd_values,
    or_odd,
)

FAMILY = "enumeration folders"
TWO = ["a", "b"]
EPOCHS = 2
NETWORKS = [("a",), ("b",), ("a", "b")]
STATE = {
    "epoch": 2,
    "weights": "epoch_2.weights.h5",
    "best": [
        ["0.5", 1, {"a": {"loss": 0.5}}],
        ["inf", 0, {}],
        ["1.5", 2, {"a": {"loss": 0.5}, "b": {"loss": 1.0}}],
    ],
}


def _enumerate(folder: pathlib.Path, strategy: str) -> Any:
    """Returns the gains, from what the folder has of them."""
    return enumerate_transfer(
        _built,
        TWO,
        make_data(8),
        make_data(4, seed=1),
        epochs=EPOCHS,
        batch_size=4,
        strategy=strategy,
        directory=folder,
        verbose=False,
    )


def _built(tasks: list[str]) -> Any:
    model = build_model(tasks, optimizer=keras.optimizers.SGD(0.01))
    model.run_eagerly = True
    return model


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def _written(folder: pathlib.Path, strategy: str) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP"):
            patch.delenv(name, raising=False)
        _enumerate(folder, strategy)
    return _files(folder)


@pytest.fixture(scope="module")
def forest(tmp_path_factory: Any) -> dict[str, bytes]:
    """The files of a finished forest."""
    return _written(tmp_path_factory.mktemp("forest"), "forest")


@pytest.fixture(scope="module")
def trials(tmp_path_factory: Any) -> dict[str, bytes]:
    """The files of a finished search of KerasTuner's."""
    return _written(tmp_path_factory.mktemp("trials"), "tuner")


def _restored(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _check(found: Any, folder: pathlib.Path, files: dict[str, bytes]) -> None:
    """A refusal names the folder, and leaves all that is in it."""
    if found.problem is None:
        assert isinstance(found.value, TransferGains)
        return
    assert str(folder) in str(found.problem)
    assert _files(folder) == files


@examples(50)
@given(damaged_json(STATE))
def test_states(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: read_state(tmp_path, NETWORKS), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)
        return
    for best, tasks in zip(found.value.best, NETWORKS, strict=True):
        assert not best.epoch or set(best.scores) == set(tasks)


@pytest.mark.slow
@examples(3)
@given(st.data())
def test_forests(
    tmp_path: pathlib.Path, forest: dict[str, bytes], data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(forest)))
    content = forest[name]
    if name.endswith(".json"):
        content = data.draw(damaged_json(json.loads(content)))
    else:
        content = data.draw(damaged_bytes(content))
    files = {**forest, name: content}
    folder = _restored(tmp_path / "found", files)
    found = outcome(FAMILY, lambda: _enumerate(folder, "forest"), path=folder)
    _check(found, folder, files)


@pytest.mark.slow
@examples(2)
@given(st.data())
def test_weights_of_a_forest(
    tmp_path: pathlib.Path, forest: dict[str, bytes], data: Any
) -> None:
    """One that was interrupted reads the weights, and not only the scores."""
    name = next(name for name in forest if name.endswith(".h5"))
    state = json.loads(forest["enumeration_forest/state.json"])
    early = json.dumps({**state, "epoch": EPOCHS - 1}).encode()
    content = data.draw(
        st.one_of(damaged_bytes(forest[name]), st.just(forest[name]))
    )
    files = {
        **forest,
        "enumeration_forest/state.json": early,
        name: content,
    }
    folder = _restored(tmp_path / "found", files)
    found = outcome(FAMILY, lambda: _enumerate(folder, "forest"), path=folder)
    _check(found, folder, files)


@pytest.mark.slow
@examples(3)
@given(st.data())
def test_trials(
    tmp_path: pathlib.Path, trials: dict[str, bytes], data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(trials)))
    content = trials[name]
    if name.endswith(".json"):
        content = data.draw(damaged_json(json.loads(content)))
    files = {**trials, name: content}
    folder = _restored(tmp_path / "found", files)
    found = outcome(FAMILY, lambda: _enumerate(folder, "tuner"), path=folder)
    if found.problem is not None:
        assert str(folder) in str(found.problem)


@examples(10)
@given(
    or_odd(st.just(TWO)),
    or_odd(st.just(None)),
    or_odd(st.integers(0, 2)),
    or_odd(st.sampled_from(["forest", "tuner", "auto"])),
    or_odd(st.just((0,))),
)
@example(TWO, None, 1, "forest", 3)
def test_arguments(
    tasks: Any, metrics: Any, epochs: Any, strategy: Any, seeds: Any
) -> None:
    """What is wrong is told before anything is trained."""
    outcome(
        FAMILY,
        lambda: enumerate_transfer(
            _nothing,
            tasks,
            make_data(8),
            make_data(4),
            epochs=epochs,
            metrics=metrics,
            strategy=strategy,
            seeds=seeds,
        ),
    )


@examples(6)
@given(odd_values, odd_values)
def test_data(train: Any, validation: Any) -> None:
    outcome(
        FAMILY,
        lambda: enumerate_transfer(_nothing, TWO, train, validation, epochs=1),
    )


def _nothing(tasks: list[str]) -> None:
    """Builds no model, which is told last."""
