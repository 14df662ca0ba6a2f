import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_selfaux._checks import UsageError
from keras_selfaux.discovery import TransferGains
from keras_selfaux.discovery._networks import networks_of
from keras_selfaux.discovery._settings import TRIALS
from keras_selfaux.discovery._tuner_search import (
    EnumerationOracle,
    EnumerationTuner,
    _naming_trials,
)

SCRIPT = pathlib.Path(__file__).parent / "search_script.py"
NETWORKS = ["a", "b", "c", "a/b", "a/c", "b/c"]


def make_oracle(folder):
    oracle = EnumerationOracle(networks_of(["a", "b"], [0]))
    oracle._set_project_dir(str(folder), "search")
    oracle.verbose = 0
    return oracle


def end(oracle, trial, status="COMPLETED"):
    metrics = {"network_loss": 1.0, "best_epoch": 2, "a/loss": 0.5}
    oracle.update_trial(trial.trial_id, metrics)
    trial.status = status
    oracle.end_trial(trial)


class TestOracle:
    def test_hands_out_each_network_once(self, tmp_path):
        oracle = make_oracle(tmp_path)
        names = []
        while (trial := oracle.create_trial("tuner0")).status != "STOPPED":
            names.append(trial.hyperparameters.get("network"))
            end(oracle, trial)
        assert names == ["a/seed_0", "b/seed_0", "a/b/seed_0"]

    def test_two_workers_get_different_networks(self, tmp_path):
        oracle = make_oracle(tmp_path)
        trials = [oracle.create_trial(f"worker{i}") for i in range(4)]
        assert [t.status for t in trials] == ["RUNNING"] * 3 + ["STOPPED"]
        assert len({t.hyperparameters.get("network") for t in trials[:3]}) == 3

    def test_what_was_running_is_handed_out_again(self, tmp_path):
        oracle = make_oracle(tmp_path)
        end(oracle, oracle.create_trial("tuner0"))
        running = oracle.create_trial("tuner0")
        again = make_oracle(tmp_path)
        again.reload()
        trial = again.create_trial("tuner0")
        assert trial.trial_id == running.trial_id
        assert trial.hyperparameters.get("network") == "b/seed_0"

    def test_what_had_just_ended_is_not(self, tmp_path):
        oracle = make_oracle(tmp_path)
        # KerasTuner writes its state before it forgets the running trial.
        end(oracle, oracle.create_trial("tuner0"))
        state = json.loads((tmp_path / "search/oracle.json").read_text())
        assert state["ongoing_trials"] == {"tuner0": "0000"}
        again = make_oracle(tmp_path)
        again.reload()
        trial = again.create_trial("tuner0")
        assert trial.hyperparameters.get("network") == "b/seed_0"

    def test_a_trial_that_the_state_does_not_know_is_replaced(self, tmp_path):
        oracle = make_oracle(tmp_path)
        end(oracle, oracle.create_trial("tuner0"))
        before = (tmp_path / "search/oracle.json").read_text()
        oracle.create_trial("tuner0")
        # As if killed after the trial's file and before the state's.
        (tmp_path / "search/oracle.json").write_text(before)
        again = make_oracle(tmp_path)
        again.reload()
        trial = again.create_trial("tuner0")
        assert trial.hyperparameters.get("network") == "b/seed_0"
        end(again, trial)
        trial = again.create_trial("tuner0")
        assert trial.hyperparameters.get("network") == "a/b/seed_0"

    def test_files_are_never_seen_half_written(self, tmp_path, monkeypatch):
        oracle = make_oracle(tmp_path)
        trial = oracle.create_trial("tuner0")
        path = tmp_path / "search/trial_0000/trial.json"
        before = path.read_text()

        def killed(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            oracle._save_trial(trial)
        assert path.read_text() == before


def start(folder, log, **environment):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(log)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=300):
    _, problems = process.communicate(timeout=timeout)
    assert process.returncode == 0, problems[-3000:]


def lines(log, word):
    if not log.exists():
        return []
    found = [line.split() for line in log.read_text().splitlines()]
    return [name for kind, name in found if kind == word]


def wait_until(condition, seconds=300):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_search_runs_nothing_twice(tmp_path):
    folder, log = tmp_path / "search", tmp_path / "log"
    process = start(folder, log)
    wait_until(lambda: len(lines(log, "begin")) == 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(lines(log, "end")) <= 4
    ended = lines(log, "end")
    finish(start(folder, log))
    begun = collections.Counter(lines(log, "begin"))
    # Only what was cut off was begun again.
    assert {n for n, times in begun.items() if times > 1} <= {*NETWORKS} - {
        *ended[:3]
    }
    assert sum(begun.values()) <= len(NETWORKS) + 1
    gains = TransferGains.from_json(folder / "gains.json")
    whole = tmp_path / "whole"
    finish(start(whole, tmp_path / "other_log"))
    wanted = TransferGains.from_json(whole / "gains.json")
    np.testing.assert_allclose(gains.by_seed, wanted.by_seed, rtol=1e-5)


@pytest.mark.slow
def test_a_chief_and_two_workers_share_a_search(tmp_path):
    folder, log = tmp_path / "search", tmp_path / "log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": port,
    }
    chief, *workers = (
        start(folder, log, KERASTUNER_TUNER_ID=name, **address)
        for name in ("chief", "worker0", "worker1")
    )
    for process in (*workers, chief):
        finish(process)
    assert sorted(lines(log, "begin")) == sorted(NETWORKS)
    assert sorted(lines(log, "end")) == sorted(NETWORKS)
    gains = TransferGains.from_json(folder / "gains.json")  # of the chief
    assert np.all(np.isfinite(gains.by_seed))
    assert len(gains.runs) == len(NETWORKS)


class TestDamage:
    def test_reading_trials_names_their_folder(self, tmp_path):
        tuner = EnumerationTuner(None, make_oracle(tmp_path), tmp_path)
        tuner.save()
        (tmp_path / TRIALS / "oracle.json").write_text("{")
        with pytest.raises(ValueError, match="holds trials that cannot be rea"):
            EnumerationTuner(None, make_oracle(tmp_path), tmp_path)

    @pytest.mark.parametrize(
        "problem", [UsageError("mend it"), PermissionError(13, "no")]
    )
    def test_what_is_no_damage_is_told_as_it_is(self, tmp_path, problem):
        with pytest.raises(type(problem)) as found, _naming_trials(tmp_path):
            raise problem
        assert found.value is problem
