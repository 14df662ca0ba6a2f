"""Several workers against one process, with real processes."""

import pathlib
import time
from typing import Any

import numpy as np
import pytest

from keras_selfaux.distribution import make_strategy
from tests.distribution.clusters import run, workers
from tests.distribution.programs import (
    compiled_model,
    quick_model,
    train,
    train_long,
    train_on,
)

SECONDS_TO_NOTICE = 60.0


def assert_equal_to(wanted: dict[str, Any], folder: pathlib.Path) -> None:
    """Asserts that workers got the same, which is what was wanted."""
    files = [np.load(file) for file in sorted(folder.glob("*.npz"))]
    for file in files:
        assert set(file) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(
                file[name], value, rtol=1e-5, atol=1e-5, err_msg=name
            )
            np.testing.assert_array_equal(file[name], files[0][name], name)


def test_two_workers_equal_one_process(tmp_path: pathlib.Path) -> None:
    run(2, "train", str(tmp_path))
    assert len(list(tmp_path.glob("*.npz"))) == 2
    assert_equal_to(train(quick_model(make_strategy())), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "late"), [(2, 10.0), (3, 0.0)])
def test_workers_equal_one_process_in_every_way(
    count: int, late: float, tmp_path: pathlib.Path
) -> None:
    run(count, "train_on", str(tmp_path), late=late)
    assert len(list(tmp_path.glob("*.npz"))) == count
    assert_equal_to(train_on(compiled_model(make_strategy())), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_worker_is_named_and_a_restart_goes_on(
    lost: int, tmp_path: pathlib.Path
) -> None:
    with workers(2, "long", str(tmp_path)) as started:
        for line in started[lost].stdout:
            if "Finished epoch 3." in line:
                break
        started[lost].kill()
        killed = time.monotonic()
        output, _ = started[1 - lost].communicate(timeout=SECONDS_TO_NOTICE)
        assert time.monotonic() - killed < SECONDS_TO_NOTICE
        assert started[1 - lost].returncode == 1
    assert "LostWorkerError: A worker was lost: " in output
    assert "training goes on from the last checkpoint" in output
    assert "Finished epoch 8." not in output

    outputs = run(2, "long", str(tmp_path))
    for output in outputs:
        assert "Finished epoch 1." not in output
        assert "Finished epoch 8." in output
    wanted = train_long(compiled_model(make_strategy()))
    named = {f"arr_{i}": value for i, value in enumerate(wanted)}
    assert_equal_to(named, tmp_path)


@pytest.mark.slow
def test_what_is_said_of_the_installed_keras_is_true(
    tmp_path: pathlib.Path,
) -> None:
    for output in run(2, "plain_keras", str(tmp_path)):
        works = "Keras works" in output
        assert works or "Keras fails: " in output
        assert f"said to work: {works}" in output
