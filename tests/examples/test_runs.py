import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from examples import _export, _runner, _runs, _training, robot_arm
from examples._methods import METHODS
from tests.examples.settings import tiny_settings

RESULT = {
    "method": "mtl",
    "seed": 0,
    "scores": {"arm_0": {"rmse": 1.5}},
    "val_loss": float("nan"),
    "seconds": 2.0,
    "parameters": 10,
}


@pytest.fixture
def config(tmp_path):
    return robot_arm.Config(
        **tiny_settings(tmp_path / "results", None),
        export_dir=str(tmp_path / "exports"),
    )


@pytest.fixture
def trainings(monkeypatch):
    """Training that takes no time and leaves half a checkpoint."""
    calls = []

    def train(problem, method, name, seed, data, callbacks):
        calls.append((name, seed))
        folder = callbacks[-1].folder.path
        folder.mkdir(parents=True)
        (folder / "1.npz").write_text("")
        if seed == 1:
            raise _runner.DivergedError("Training diverged.")
        return None, RESULT

    monkeypatch.setattr(_training, "train", train)
    return calls


class TestRun:
    def test_is_made_once(self, config, trainings, tmp_path):
        for _ in range(2):
            run = _runs.Run(tmp_path, "mtl", 0)
            result = run.train(config, METHODS["mtl"], None)
            assert result["method"] == "mtl"
        assert trainings == [("mtl", 0)]
        assert [path.name for path in tmp_path.iterdir()] == ["mtl_0.json"]

    def test_one_that_diverges_begins_anew(self, config, trainings, tmp_path):
        run = _runs.Run(tmp_path, "mtl", 1)
        for _ in range(2):
            with pytest.raises(_runner.DivergedError):
                run.train(config, METHODS["mtl"], None)
        assert len(trainings) == 2
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("text", ["{", "[1]", "", '{"scores": {}}'])
    def test_damaged_results_are_named(self, config, tmp_path, text):
        (tmp_path / "mtl_0.json").write_text(text)
        run = _runs.Run(tmp_path, "mtl", 0)
        with pytest.raises(ValueError, match=r"mtl_0\.json' is damaged.*Remo"):
            run.train(config, METHODS["mtl"], None)

    def test_damaged_weights_are_named(self, config, tmp_path):
        (tmp_path / "mtl_0.npz").write_text("no archive")
        run = _runs.Run(tmp_path, "mtl", 0)
        with pytest.raises(ValueError, match=r"mtl_0\.npz' is damaged"):
            run.model(config, METHODS["mtl"])


class TestClaim:
    def test_an_interrupted_run_goes_on_or_is_refused(self, config):
        _runner.claim_output(config)
        run_id = _runner.run_id(config)
        changed = dataclasses.replace(
            config, verbose=True, devices=("CPU:0",), plots=False
        )
        _runner.claim_output(changed)
        assert _runner.run_id(config) == run_id
        refused = dataclasses.replace(config, resume=False)
        with pytest.raises(FileExistsError, match="a run that has begun"):
            _runner.claim_output(refused)
        other = dataclasses.replace(config, epochs=7)
        with pytest.raises(FileExistsError, match="another epochs"):
            _runner.claim_output(other)
        _runner.claim_output(dataclasses.replace(other, overwrite=True))
        assert _runner.run_id(config) != run_id

    @pytest.mark.parametrize("text", ["{", "[1]"])
    def test_damaged_settings_are_named(self, config, tmp_path, text):
        (tmp_path / "results").mkdir()
        path = tmp_path / "results/config.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config\.json' is damaged"):
            _runner.claim_output(config)
        assert path.read_text() == text

    def test_a_folder_that_cannot_be_written_to(self, config, tmp_path):
        (tmp_path / "results").write_text("a file")
        with pytest.raises(OSError, match=r"config\.json' could not be writt"):
            _runner.claim_output(config)


def test_a_version_is_known_by_its_run(tmp_path):
    for number, content in (
        ("1", '{"metadata": {"run_id": "other"}}'),
        ("2", "damaged"),
        ("3", '{"metadata": null}'),
        ("4", '{"metadata": {"run_id": "this"}}'),
    ):
        folder = tmp_path / number / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "selfaux.json").write_text(content)
    assert _export.version_of("this", str(tmp_path)) == tmp_path / "4"
    assert _export.version_of("that", str(tmp_path)) is None


@pytest.mark.parametrize(
    ("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signals_end_a_runner_in_order(kind, status, capsys):
    before = signal.getsignal(kind)

    def work():
        with _runner.ending_on_signals():
            os.kill(os.getpid(), kind)
            while True:
                pass

    with pytest.raises(SystemExit) as ending:
        work()
    assert ending.value.code == status
    assert "goes on where this was" in capsys.readouterr().err
    assert signal.getsignal(kind) is before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds_between_checkpoints": -1.0}, "`seconds_between_checkpoin"),
        ({"strategy": "several"}, "`strategy` must be one of"),
        (
            {"strategy": "multiworker", "method": ("saal_e",)},
            "Several machines do not enumerate together",
        ),
    ],
)
def test_refuses(config, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **changes)


def test_results_have_all_numbers(config, trainings, tmp_path):
    run = _runs.Run(tmp_path, "mtl", 0)
    run.train(config, METHODS["mtl"], None)
    written = json.loads((tmp_path / "mtl_0.json").read_text())
    assert str(written["val_loss"]) == "nan"


def test_training_that_diverges_says_where(tmp_path, data_dir):
    config = robot_arm.Config(
        **tiny_settings(
            tmp_path / "results", data_dir, learning_rate=1e30, epochs=5
        )
    )
    data = config.load_data()
    run = _runs.Run(tmp_path / "runs", "mtl", 0)
    message = r"Training 'mtl' with seed 0 diverged\. .*not finite.* epoch \d"
    with pytest.raises(_runner.DivergedError, match=message):
        run.train(config, METHODS["mtl"], data)
    assert not list((tmp_path / "runs").glob("*"))


class TestStartingAnew:
    def test_nothing_of_other_settings_is_left(self, config, tmp_path):
        folder = _runner.claim_output(config)
        (folder / "runs").mkdir()
        (folder / "runs/mtl_0.json").write_text("{}")
        other = dataclasses.replace(config, epochs=7, overwrite=True)
        _runner.claim_output(other, parts=("runs",))
        assert [path.name for path in folder.iterdir()] == ["config.json"]

    def test_one_process_at_a_time(self, config):
        folder = _runner.claim_output(config)
        script = (
            "import fcntl, os, sys\n"
            "folder = os.open(sys.argv[1], os.O_RDONLY)\n"
            "fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        )
        other = [sys.executable, "-c", script, str(folder)]
        held = subprocess.run(other, capture_output=True, check=False)
        assert b"BlockingIOError" in held.stderr

    def test_a_folder_in_use_is_refused(self, config, tmp_path):
        folder = tmp_path / "results"
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(FileExistsError, match="Another process is at work"):
            _runner.claim_output(config)
        os.close(descriptor)
        _runner.claim_output(config)
