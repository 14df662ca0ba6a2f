"""The page on serving runs, from its first block to its last."""

import pathlib
import re
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.docs.test_readme import python_blocks

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs/serving.md"


def test_the_code_runs(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert str(names["path"]) == "served/scenes/1"
    assert 0 < names["differences"]["depth"] < 0.1
    assert names["depth"].shape == (1, 24, 32, 1)
    assert {path.name for path in tmp_path.iterdir()} == {
        "depth.tflite",
        "scenes.onnx",
        "served",
    }


def test_the_server_understands_what_is_configured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(config .*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        found = text_format.Parse(
            f"model_config_list {{ {block} }}",
            model_server_config_pb2.ModelServerConfig(),
        )
        (config,) = found.model_config_list.config
        assert config.model_version_policy.specific.versions


@pytest.mark.parametrize(
    "path", re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
)
def test_links_lead_somewhere(path: str) -> None:
    assert (PAGE.parent / path).exists()
