"""Runs a program of the tests as several workers on this machine."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

from examples.multiworker.run_local import free_ports, tf_config

ROOT = pathlib.Path(__file__).parents[2]
# Longer than any of them takes here, so that no test waits for ever.
SECONDS = 300.0


@contextlib.contextmanager
def workers(
    count: int, *arguments: str, late: float = 0.0
) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts workers of `programs.py` and ends them when the context ends.

    Args:
        count: How many workers.
        *arguments: Those of the program: its name and what it takes.
        late: How many seconds later than the others the last one starts.
    """
    ports = free_ports(count)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    started: list[subprocess.Popen[str]] = []
    try:
        for index in range(count):
            if index == count - 1:
                time.sleep(late)
            command = [sys.executable, "-m", "tests.distribution.programs"]
            started.append(
                subprocess.Popen(
                    [*command, *arguments],
                    cwd=ROOT,
                    env={**environment, "TF_CONFIG": tf_config(ports, index)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        yield started
    finally:
        for each in started:
            each.kill()  # TensorFlow ignores a polite end
            each.wait()
            each.stdout.close()


def run(count: int, *arguments: str, late: float = 0.0) -> list[str]:
    """Runs workers to their end and returns what each of them printed."""
    with workers(count, *arguments, late=late) as started:
        outputs = [each.communicate(timeout=SECONDS)[0] for each in started]
        for each, output in zip(started, outputs, strict=True):
            assert each.returncode == 0, output
    return outputs
