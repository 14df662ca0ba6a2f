"""What the documents print is run."""

import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def python_blocks(path: pathlib.Path) -> list[str]:
    """Returns the Python code blocks of a Markdown file."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_readme_has_an_example_of_the_promised_size() -> None:
    block, *_ = python_blocks(ROOT / "README.md")
    assert 20 <= len([line for line in block.splitlines() if line]) <= 30


def test_readme_example_runs(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "readme.py"
    script.write_text(
        "\n".join(python_blocks(ROOT / "README.md")), encoding="utf-8"
    )
    names = runpy.run_path(str(script))
    printed = capsys.readouterr().out
    assert "('seg', 'depth')" in printed
    assert "served/my_model/1: fine" in printed
    assert (tmp_path / "depth.tflite").exists()
    assert names["plain"].count_params() < names["model"].count_params()


@pytest.mark.parametrize("target", ["demo", "rooms", "test", "bench"])
def test_readme_names_targets_that_exist(target: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"make {target}" in readme
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_picture_is_what_its_script_draws(tmp_path: pathlib.Path) -> None:
    script = runpy.run_path(str(ROOT / "docs/draw_self_auxiliary.py"))
    script["draw"](tmp_path / "picture.svg")
    size = (ROOT / "docs/self_auxiliary.svg").stat().st_size
    assert (tmp_path / "picture.svg").stat().st_size == pytest.approx(
        size, rel=0.1
    )
