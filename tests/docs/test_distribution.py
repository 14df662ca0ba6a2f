"""The page on distribution runs, and says what messages there are."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from keras_selfaux.distribution._cluster import check_tf_config
from tests.docs.test_readme import python_blocks

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs/distribution.md"
NOTES = ROOT / "examples/multiworker/README.md"


def test_the_code_runs(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert names["strategy"].num_replicas_in_sync == 2
    assert names["predictions"]["sum"].shape == (96, 1)
    assert np.all(np.isfinite(names["predictions"]["first"]))
    assert (tmp_path / "exported/saved_model.pb").exists()


def test_the_messages_are_those_of_the_package() -> None:
    sources = (ROOT / "keras_selfaux/distribution").glob("*.py")
    # Messages are broken over lines, and have parts filled in.
    code = "".join(path.read_text("utf-8") for path in sources)
    code = re.sub(r'"\s+f?"', "", code)
    table = PAGE.read_text("utf-8").partition("## Errors by symptom")[2]
    messages = re.findall(r"^\| ([A-Z].*?) \|", table, flags=re.MULTILINE)
    assert len(messages) == 8
    for message in messages:
        for part in re.split(r"GPU:1|\d+|\.\.\.", message):
            assert part.strip() in code, message


@pytest.mark.parametrize("page", [PAGE, NOTES], ids=["page", "notes"])
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize("index", [0, 1])
def test_the_manifest_makes_a_good_config(index: int) -> None:
    manifest = (NOTES.parent / "job.yaml").read_text("utf-8")
    (program,) = re.findall(r"python -c '\n(.*?)'\)", manifest, re.DOTALL)
    names = {"WORKERS": "2", "JOB_COMPLETION_INDEX": str(index)}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **names},
        capture_output=True,
        text=True,
        check=True,
    )
    check_tf_config(found.stdout)
    assert f'"index": {index}' in found.stdout
    assert found.stdout.count(":12345") == 2
