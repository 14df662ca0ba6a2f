import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[3]
SCRIPT = ROOT / "examples/multiworker/run_local.py"


def start(
    tmp_path: pathlib.Path, program: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "program.py"
    path.write_text(program)
    flags = ["--workers=2", f"--program={path}", *arguments]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_worker_gets_its_config(tmp_path: pathlib.Path) -> None:
    program = "import os, sys; print(os.environ['TF_CONFIG'], sys.argv[1:])"
    ended = start(tmp_path, program, "--", "--epochs=3")
    assert ended.returncode == 0, ended.stderr
    lines = sorted(ended.stdout.splitlines())
    for index, line in enumerate(lines):
        assert line.startswith(f"[worker {index}] ")
        assert line.endswith("['--epochs=3']")
        config: Any = json.loads(line[11 : line.rindex("[")])
        assert config["task"] == {"type": "worker", "index": index}
        addresses = config["cluster"]["worker"]
        assert len({*addresses}) == 2
        assert all(each.startswith("127.0.0.1:") for each in addresses)
    assert len(lines) == 2


def test_one_that_fails_ends_the_others(tmp_path: pathlib.Path) -> None:
    program = (
        "import json, os, sys, time\n"
        "if json.loads(os.environ['TF_CONFIG'])['task']['index'] == 1:\n"
        "    sys.exit(3)\n"
        "time.sleep(300)\n"
    )
    began = time.monotonic()
    ended = start(tmp_path, program, "--grace_seconds=0.5")
    assert time.monotonic() - began < 30
    assert ended.returncode == 3
    assert "Worker 1 failed with status 3." in ended.stdout


def test_a_killed_worker_is_reported(tmp_path: pathlib.Path) -> None:
    program = "import os; os.kill(os.getpid(), 9)"
    ended = start(tmp_path, program, "--grace_seconds=5")
    assert ended.returncode == 137


@pytest.mark.slow
def test_two_workers_train_export_and_go_on(tmp_path: pathlib.Path) -> None:
    def train(epochs: int) -> str:
        flags = [f"--folder={tmp_path}", f"--epochs={epochs}"]
        ended = subprocess.run(
            [sys.executable, str(SCRIPT), "--workers=2", "--", *flags],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    first = train(2)
    losses = [
        line.split("loss: ")[1]
        for line in first.splitlines()
        if "Held-out loss" in line
    ]
    assert len(losses) == 2
    assert len(set(losses)) == 1
    assert first.count("Exported to") == 1
    second = train(3)
    assert "Epoch 3/3" in second
    assert "Epoch 2/3" not in second
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"1", "2"}
