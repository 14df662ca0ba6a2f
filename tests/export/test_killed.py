"""Exports that are killed at any moment leave no version, or a whole one."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from keras_selfaux import export

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = """
import sys
from keras_selfaux import export
from tests.export.models import dense_model, vectors

model, x = dense_model(), vectors(3)
print("ready", flush=True)
while True:
    export.write_servable(model, sys.argv[1], examples=x)
"""


def killed_exporter(folder: pathlib.Path, delay: float) -> None:
    """Exports version after version, in a process that is then killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 40])
def test_no_version_or_a_complete_one(
    tmp_path: pathlib.Path, times: int
) -> None:
    checked: set[str] = set()
    unfinished = 0
    delays = random.Random(0)
    # The first one gets time for a version.
    shortest = 2.0
    for _ in range(times):
        killed_exporter(tmp_path, delays.uniform(shortest, shortest + 3.0))
        shortest = 0.05
        names = {path.name for path in tmp_path.iterdir()}
        versions = {name for name in names if name.isdecimal()}
        # At most one exporter was at work, and what an earlier one left is
        # gone as soon as another starts to write.
        left = names - versions
        assert len(left) <= 1
        assert all(name.startswith(".unfinished-") for name in left)
        unfinished += len(left)
        for name in versions - checked:
            path = tmp_path / name
            signatures = tf.saved_model.load(str(path)).signatures
            assert "serving_default" in signatures
            manifest = path / "assets.extra/selfaux.json"
            assert json.loads(manifest.read_text())["tasks"]
        checked |= versions
    # Numbers have no gaps: no version was lost either.
    assert {int(name) for name in checked} == {*range(1, len(checked) + 1)}
    if times > 1:
        assert unfinished, "no export was hit: choose other delays"
    assert checked
    last = tmp_path / str(len(checked))
    assert export.verify_servable(last).warmup_requests == 4
