import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_runs_twice_into_versions_of_their_own(tmp_path):
    for version in ("1", "2"):
        run = subprocess.run(
            [sys.executable, str(ROOT / "examples/quickstart.py")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert "arm_0 -> arm_1: " in run.stdout
        path = tmp_path / "saved_models/quickstart" / version
        served = tf.saved_model.load(str(path))
        assert {*served.serve(tf.zeros([1, 2]))} == {"arm_0", "arm_1", "arm_2"}
