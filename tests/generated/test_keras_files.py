"""Files of models and weights that were damaged, or made to do harm."""

import functools
import json
import os
import pathlib
import shutil
import tempfile
import zipfile
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder
from tests.generated import archives, tally
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import (
    damaged_bytes,
    json_values,
    lazily,
    mutated,
)
from tests.integration.models import TASKS, compile_model, make_data, make_model

FAMILY = ".keras files"
WEIGHTS_FAMILY = "weights files"
CONFIG_FAMILY = "configs of layers"

# Before any class of this package is asked, `keras.models.load_model` unpacks
# the archive and finds classes by what its JSON says. These are its errors.
_BY_KERAS = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # of h5py; also what is nested too deeply
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


@functools.cache
def _saved() -> tuple[bytes, bytes]:
    """A model and its weights as they are in files."""
    model = make_model([("a", "b")], dropout=0.2)
    compile_model(model, "adam", weighting="dwa", aggregator="pcgrad")
    model.run_eagerly = True
    model.train_on_batch(*make_data(4))
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        model.save(folder / "model.keras")
        model.save_weights(folder / "model.weights.h5")
        return (
            (folder / "model.keras").read_bytes(),
            (folder / "model.weights.h5").read_bytes(),
        )
    finally:
        shutil.rmtree(folder)


@functools.cache
def _config() -> Any:
    return json.loads(archives.members_of(_saved()[0])[archives.CONFIG])


def _encoder_config() -> Any:
    return _config()["config"]["encoder"]["config"]


def _heads_config() -> Any:
    config = _config()["config"]
    graph = {"tasks": TASKS, "edges": config["auxiliaries"]}
    return {"heads": config["heads"], "graph": graph, "stack": True}


@pytest.fixture(scope="module", autouse=True)
def _made() -> None:
    """Makes what strategies start from: they must not draw numbers."""
    _config()
    _model()


def _load(path: pathlib.Path, content: bytes) -> Any:
    """Loads a model; the file stays as it is, and nothing of it is run."""
    path.write_bytes(content)
    archives.EXECUTED.clear()
    model = problem = None
    try:
        model = keras.models.load_model(path)
    except _BY_KERAS as found:
        problem = found
    tally.count(FAMILY, refused=problem is not None)
    assert path.read_bytes() == content
    assert not archives.EXECUTED
    assert not archives.TRACE.exists()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return model, problem


@examples(3)
@given(lazily(lambda: archives.damaged_archives(_saved()[0])))
@pytest.mark.filterwarnings("ignore")  # what loading says of damage
def test_damaged_models(tmp_path: pathlib.Path, content: bytes) -> None:
    model, _ = _load(tmp_path / "model.keras", content)
    if isinstance(model, keras_selfaux.SelfAuxModel) and model.built:
        x = make_data(2)[0]
        assert set(model(x)) == set(model.transfer_graph.tasks)


@examples(2)
@given(lazily(lambda: archives.with_foreign_object(_config())))
@pytest.mark.filterwarnings("ignore")
def test_models_with_foreign_objects(
    tmp_path: pathlib.Path, config: Any
) -> None:
    """A Lambda and its like are refused, wherever they are in the file."""
    members = archives.members_of(_saved()[0])
    members[archives.CONFIG] = json.dumps(config).encode()
    _load(tmp_path / "model.keras", archives.archive_of(members))


@pytest.mark.parametrize("number", range(len(archives.foreign_objects())))
@pytest.mark.filterwarnings("ignore")
def test_foreign_objects_are_refused(
    tmp_path: pathlib.Path, number: int
) -> None:
    members = archives.members_of(_saved()[0])
    places: list[list[Any]] = [
        ["config", "heads", "a"],
        ["config", "encoder", "config", "stages", 0],
        ["compile_config", "optimizer"],
    ]
    *holders, key = places[number % len(places)]
    config = json.loads(json.dumps(_config()))
    holder = functools.reduce(lambda found, name: found[name], holders, config)
    assert key in holder or isinstance(key, int)
    holder[key] = archives.foreign_objects()[number]
    members[archives.CONFIG] = json.dumps(config).encode()
    _, problem = _load(tmp_path / "model.keras", archives.archive_of(members))
    assert problem is not None


def test_commands_would_leave_a_trace() -> None:
    command = archives.foreign_objects()[3]["config"]["command"]
    try:
        assert os.system(command) == 0
        assert archives.TRACE.exists()
    finally:
        archives.TRACE.unlink()


def test_a_lambda_is_refused_by_safe_mode(tmp_path: pathlib.Path) -> None:
    members = archives.members_of(_saved()[0])
    lambda_layer = archives.foreign_objects()[1]
    for place in ("heads", "encoder"):
        config = json.loads(json.dumps(_config()))
        if place == "heads":
            config["config"]["heads"]["a"] = lambda_layer
        else:
            config["config"]["encoder"]["config"]["stages"][0] = lambda_layer
        members[archives.CONFIG] = json.dumps(config).encode()
        _, problem = _load(
            tmp_path / "model.keras", archives.archive_of(members)
        )
        assert "safe_mode=False" in str(problem)


@examples(6)
@given(lazily(lambda: damaged_bytes(_saved()[1])))
@example(b"")
def test_damaged_weights(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(content)
    found = outcome(
        WEIGHTS_FAMILY, lambda: _model().load_weights(path), path=path
    )
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)


@functools.cache
def _model() -> Any:
    model = make_model([("a", "b")], dropout=0.2)
    compile_model(model, "adam", weighting="dwa", aggregator="pcgrad")
    model._build_compiled()
    return model


@examples(3)
@given(
    lazily(lambda: st.one_of(mutated(_config()["config"]), json_values)),
)
@example({})
def test_configs_of_models(damaged: Any) -> None:
    found = outcome(
        CONFIG_FAMILY, lambda: keras_selfaux.SelfAuxModel.from_config(damaged)
    )
    if found.problem is None:
        found.value.build((None, 4))


@examples(8)
@given(lazily(lambda: st.one_of(mutated(_encoder_config()), json_values)))
@example({"stages": 3})
@example({})
def test_configs_of_encoders(damaged: Any) -> None:
    outcome(CONFIG_FAMILY, lambda: BranchedEncoder.from_config(damaged))


@examples(4)
@given(lazily(lambda: st.one_of(mutated(_heads_config()), json_values)))
@example({})
@example({"heads": {}, "graph": 3})
def test_configs_of_heads(damaged: Any) -> None:
    outcome(
        CONFIG_FAMILY,
        lambda: keras_selfaux.layers.HeadBank.from_config(damaged),
    )


def test_what_is_not_damaged_loads(tmp_path: pathlib.Path) -> None:
    model, problem = _load(tmp_path / "model.keras", _saved()[0])
    assert problem is None
    path = tmp_path / "model.weights.h5"
    path.write_bytes(_saved()[1])
    other = _model()
    other.load_weights(path)
    x = make_data(3)[0]
    for task in TASKS:
        np.testing.assert_array_equal(model(x)[task], other(x)[task])
