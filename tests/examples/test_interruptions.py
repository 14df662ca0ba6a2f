"""Runners that are killed, asked to end, or denied what they write to."""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
SETTINGS = {
    "num_tasks": 3,
    "train_per_task": 20,
    "epochs": 60,
    "batch_size": 10,
    "seeds": "0,1",
    "method": "stl,saal_e,saal_w",
    "jit_compile": False,
    "plots": False,
    "deterministic": True,
    "seconds_between_checkpoints": 0,
}
NUM_KILLS = 50
SHORT = {"method": "saal_w", "seeds": "0", "epochs": 20}


def start(folder, data_dir, **changes):
    settings = {
        **SETTINGS,
        "data_dir": data_dir,
        "output_dir": folder / "results",
        "export_dir": folder / "exports",
        **changes,
    }
    command = [sys.executable, str(ROOT / "examples/robot_arm.py")]
    command += [f"--{name}={value}" for name, value in settings.items()]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, data_dir, **changes):
    """Runs to the end, and returns the time it took."""
    begin = time.perf_counter()
    process = start(folder, data_dir, **changes)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return time.perf_counter() - begin


def results_of(folder):
    """Returns all that a run ends with, but for times and names."""
    results = json.loads((folder / "results/results.json").read_text())
    for place in (results, *results["runs"], *results["summary"].values()):
        del place["seconds"]
    del results["config"], results["export"]
    (version,) = (folder / "exports").iterdir()
    assert version.name == "1"
    served = tf.saved_model.load(str(version))
    answers = served.serve(tf.linspace((-1.0, 0.0), (1.0, 1.0), 20))
    return results, {task: a.numpy() for task, a in answers.items()}


def assert_same_end(folder, wanted):
    results, answers = results_of(folder)
    assert results == wanted[0]
    for task, answer in wanted[1].items():
        np.testing.assert_array_equal(answers[task], answer)


@pytest.mark.slow
def test_killed_at_any_time_it_ends_where_it_would_have_ended(
    tmp_path, data_dir, capsys
):
    seconds = run(tmp_path / "undisturbed", data_dir)
    wanted = results_of(tmp_path / "undisturbed")
    chance = random.Random(0)
    kills = {}
    number = 0
    while sum(kills.values()) < NUM_KILLS:
        number += 1
        folder = tmp_path / f"killed_{number}"
        while True:
            process = start(folder, data_dir)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.15, 0.8) * seconds)
            process.kill()
            printed, errors = process.communicate()
            if process.returncode != -signal.SIGKILL:
                assert process.returncode == 0, errors
                break
            phase = phase_of(printed)
            kills[phase] = kills.get(phase, 0) + 1
            if (folder / "results/results.json").exists():
                break  # killed while it was cleaning up
        assert_same_end(folder, wanted)
    with capsys.disabled():
        print(f"\n{sum(kills.values())} kills, {number} runs: {kills}")
    assert {"training", "search", "export"} <= {*kills}


def phase_of(printed):
    """Returns what a runner was at when it was killed."""
    if "Δm" in printed:
        return "export"
    if "  epoch " not in printed:
        return "search" if "━" in printed else "start"
    return "training"


@pytest.mark.parametrize(
    ("kind", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
@pytest.mark.slow
def test_asked_to_end_it_keeps_a_checkpoint(tmp_path, data_dir, kind, status):
    run(tmp_path / "undisturbed", data_dir, **SHORT)
    folder = tmp_path / "asked"
    # None but that of the signal.
    rare = {**SHORT, "seconds_between_checkpoints": 1000}
    process = start(folder, data_dir, **rare)
    for line in process.stdout:
        if "  epoch " in line:
            process.send_signal(kind)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "goes on where this was" in errors
    assert (folder / "results/runs/saal_w_0/checkpoint.json").exists()
    run(folder, data_dir, **rare)
    assert_same_end(folder, results_of(tmp_path / "undisturbed"))


@pytest.mark.slow
def test_refuses_to_go_on_if_told_so(tmp_path, data_dir):
    folder = tmp_path / "run"
    process = start(folder, data_dir, **SHORT)
    for line in process.stdout:
        if "  epoch " in line:
            process.kill()
            break
    process.communicate()
    for changes, message in (
        ({"resume": False}, "holds a run that has begun. Pass --resume"),
        ({"learning_rate": 0.5}, "holds a run with another learning_rate"),
    ):
        refused = start(folder, data_dir, **SHORT, **changes)
        _, errors = refused.communicate(timeout=60)
        assert refused.returncode == 1
        assert message in errors
    run(folder, data_dir, **SHORT)
    again = start(folder, data_dir, **SHORT)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 1
    assert "holds the results of an earlier run" in errors
