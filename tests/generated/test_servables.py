"""Folders of exported models whose files are damaged."""

import json
import pathlib
import shutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_selfaux import export
from keras_selfaux.export._manifest import MANIFEST_FILE, read_manifest
from keras_selfaux.export._verify import _check_requests, _read
from keras_selfaux.export._warmup import WARMUP_FILE, read_warmup
from tests.export.models import dense_model, vectors
from tests.generated.outcomes import examples, outcome
from tests.generated.strategies import damaged_bytes, damaged_json

FAMILY = "exported models"
GRAPH_FILE = "saved_model.pb"
VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def servable(tmp_path_factory: Any) -> dict[str, bytes]:
    """The files of an exported model."""
    folder = tmp_path_factory.mktemp("served") / "vectors"
    path = export.write_servable(dense_model(), folder, examples=vectors(2))
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def _write(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    shutil.rmtree(folder / "1", ignore_errors=True)
    for name, content in files.items():
        path = folder / "1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "1"


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@examples(30)
@given(st.data())
def test_manifests(
    tmp_path: pathlib.Path, servable: dict[str, bytes], data: Any
) -> None:
    content = data.draw(damaged_json(json.loads(servable[MANIFEST_FILE])))
    path = tmp_path / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found = outcome(FAMILY, lambda: read_manifest(tmp_path), path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(path) in str(found.problem)


@examples(10)
@given(st.data())
def test_warmup_requests(
    tmp_path: pathlib.Path, servable: dict[str, bytes], data: Any
) -> None:
    folder = _write(tmp_path, {GRAPH_FILE: servable[GRAPH_FILE]})
    specs, _ = _read(folder)
    content = data.draw(damaged_bytes(servable[WARMUP_FILE]))
    path = folder / WARMUP_FILE
    path.parent.mkdir()
    path.write_bytes(content)

    def read() -> Any:
        requests = read_warmup(folder)
        _check_requests(folder, requests, specs)
        return requests

    found = outcome(FAMILY, read, path=path)
    assert path.read_bytes() == content
    if found.problem is not None:
        assert str(folder) in str(found.problem)


@examples(20)
@given(st.data())
def test_graphs(
    tmp_path: pathlib.Path, servable: dict[str, bytes], data: Any
) -> None:
    content = data.draw(damaged_bytes(servable[GRAPH_FILE]))
    folder = _write(tmp_path, {GRAPH_FILE: content})
    found = outcome(FAMILY, lambda: _read(folder), path=folder)
    assert (folder / GRAPH_FILE).read_bytes() == content
    if found.problem is not None:
        assert str(folder) in str(found.problem)


@examples(1)
@given(st.data())
def test_folders(
    tmp_path: pathlib.Path, servable: dict[str, bytes], data: Any
) -> None:
    """Whatever is damaged, a servable is fine or it is said why not."""
    name = data.draw(st.sampled_from(sorted(servable)))
    content = data.draw(
        st.one_of(st.none(), damaged_bytes(servable[name]), st.just(b""))
    )
    files = {**servable, name: content}
    if content is None:
        del files[name]
    folder = _write(tmp_path, files)
    outcome(FAMILY, lambda: export.verify_servable(folder), path=folder)
    assert _files(folder) == files
