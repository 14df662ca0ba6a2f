import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import keras_tuner
import numpy as np
import pytest
from absl import flags

import keras_selfaux
from examples import _runner, tune
from keras_selfaux.discovery import TransferGains
from tests.examples.settings import TASKS, tiny_settings

ROOT = pathlib.Path(__file__).parents[2]


def tiny(folder, data_dir, **changes):
    settings = tiny_settings(folder / "results", data_dir, max_trials=2)
    return tune.Config(**{**settings, **changes})


@pytest.fixture(scope="module")
def gains_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("gains") / "gains.json"
    TransferGains(TASKS, [[0.0, 1.0], [-1.0, 0.0]]).to_json(path)
    return str(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir, gains_path):
    """A search that was interrupted and went on: config, results, folder."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, data_dir, gains=gains_path)
    trained = []
    original = tune.ArmHyperModel.fit

    def interrupted(self, hp, model, *args, **kwargs):
        if len(trained) == 1:
            trained.append("interrupted")
            raise KeyboardInterrupt
        trained.append(dict(hp.values))
        return original(self, hp, model, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune.ArmHyperModel, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune.run(config)
        results = tune.run(config)
    return config, results, folder, trained


@pytest.mark.slow
class TestRun:
    def test_returns_what_it_writes(self, finished):
        _, results, folder, _ = finished
        written = json.loads((folder / "results/results.json").read_text())
        assert written == json.loads(json.dumps(results))
        assert {*results} == {
            "config",
            "hyperparameters",
            "runs",
            "seconds",
            "summary",
            "trials",
            "versions",
        }

    def test_an_interrupted_search_runs_no_trial_twice(self, finished):
        _, results, _, trained = finished
        first, interruption, second = trained
        assert interruption == "interrupted"
        found = [trial["hyperparameters"] for trial in results["trials"]]
        assert found == [first, second]
        assert {t["status"] for t in results["trials"]} == {"COMPLETED"}

    def test_the_best_trial_is_compared_with_the_default(self, finished):
        _, results, _, _ = finished
        best = min(results["trials"], key=lambda trial: trial["val_loss"])
        chosen = results["hyperparameters"]
        assert chosen["tuned"] == best["hyperparameters"]
        assert chosen["mtl"] == {
            "num_shared": 2,
            "auxiliaries": "none",
            "weighting": "equal",
            "learning_rate": pytest.approx(1e-3),
        }
        assert [run["method"] for run in results["runs"]] == ["mtl", "tuned"]
        assert [*results["summary"]["tuned"]["changes"]] == TASKS
        assert "delta_m" not in results["summary"]["mtl"]

    def test_draws(self, finished):
        _, _, folder, _ = finished
        names = {path.name for path in (folder / "results").glob("*.png")}
        assert names == {"task_weights.png", "task_changes.png"}

    def test_refuses_to_overwrite(self, finished):
        config, _, _, _ = finished
        with pytest.raises(FileExistsError, match=r"results\.json' holds the"):
            tune.run(config)


class TestClaim:
    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            ({"epochs": 3}, "another epochs"),
            ({"seeds": (1,)}, "another seeds"),
            ({"tuner": "grid", "batch_size": 5}, "another batch_size, tuner"),
        ],
    )
    def test_refuses_other_settings(self, tmp_path, changes, names):
        config = tiny(tmp_path, None)
        tune.claim(config)
        tune.claim(dataclasses.replace(config, max_trials=9, plots=False))
        with pytest.raises(FileExistsError, match=names):
            tune.claim(dataclasses.replace(config, **changes))

    def test_refuses_other_gains(self, tmp_path, gains_path):
        config = tiny(tmp_path, None)
        tune.claim(config)
        with pytest.raises(FileExistsError, match=r"another gains. Pass"):
            tune.claim(dataclasses.replace(config, gains=gains_path))

    def test_overwrites_when_told(self, tmp_path):
        config = tiny(tmp_path, None)
        tune.claim(config)
        trial = tmp_path / "results/search/trial_0/trial.json"
        _runner.write_json(trial, {})
        other = dataclasses.replace(config, epochs=3, overwrite=True)
        tune.claim(other)
        assert not trial.exists()
        with pytest.raises(FileExistsError, match="another epochs"):
            tune.claim(config)

    def test_a_worker_removes_nothing(self, tmp_path, monkeypatch):
        config = tiny(tmp_path, None)
        trial = tmp_path / "results/search/trial_0/trial.json"
        _runner.write_json(trial, {})
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker_0")
        assert tune.is_worker()
        tune.claim(dataclasses.replace(config, overwrite=True))
        assert trial.exists()
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        assert not tune.is_worker()


class TestTuner:
    @pytest.mark.parametrize("name", ["random", "hyperband"])
    def test_kind_and_number_of_trials(self, tmp_path, name):
        config = tiny(tmp_path, None, tuner=name, max_trials=7)
        tuner = tune.make_tuner(config, tune.ArmHyperModel(config, {}))
        assert isinstance(tuner, tune.TUNERS[name])
        assert tuner.remaining_trials == 7
        assert tuner.oracle.objective.name == "val_loss"

    def test_gains_are_a_choice(self, tmp_path, gains_path):
        config = tiny(tmp_path, None, gains=gains_path)
        tuner = tune.make_tuner(config, tune.ArmHyperModel(config, {}))
        names = {found.name for found in tuner.oracle.get_space().space}
        assert names == {
            "num_shared",
            "auxiliaries",
            "threshold",
            "weighting",
            "auto_lambda/learning_rate",
            "learning_rate",
        }

    def test_without_a_trial_that_ended_well(self, tmp_path):
        config = tiny(tmp_path, None)
        tuner = tune.make_tuner(config, tune.ArmHyperModel(config, {}))
        trial = tuner.oracle.create_trial("tuner0")
        trial.status = "FAILED"
        trial.score = np.nan
        (known,) = tune.trials_of(tuner)
        assert (known["status"], known["val_loss"]) == ("FAILED", None)
        message = "No trial ended well. Received: no finite validation loss"
        with pytest.raises(RuntimeError, match=message):
            tune.best_hyperparameters(tuner)


class TestConfig:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"tuner": "best"}, r"`tuner` must be one of \['random', 'bayes"),
            ({"max_trials": 0}, "`max_trials` must be a positive number"),
            ({"epochs": 0}, "`epochs` must be a positive number"),
            ({"gains": "none.json"}, "`gains` must be a JSON file.*is no file"),
        ],
    )
    def test_refuses(self, tmp_path, changes, message):
        with pytest.raises(ValueError, match=message):
            tiny(tmp_path, None, **changes)

    def test_refuses_gains_of_other_tasks(self, tmp_path, gains_path):
        with pytest.raises(ValueError, match="must have the tasks arm_0, arm"):
            tiny(tmp_path, None, gains=gains_path, num_tasks=3)

    def test_refuses_a_file_that_holds_something_else(self, tmp_path):
        path = tmp_path / "graph.json"
        keras_selfaux.TransferGraph(TASKS).to_json(path)
        with pytest.raises(ValueError, match="does not hold transfer gains"):
            tiny(tmp_path, None, gains=str(path))

    def test_flags(self):
        values = flags.FlagValues()
        _runner.define_flags(tune.Config, values)
        values(["tune.py", "--tuner=hyperband", "--max_trials=3", "--demo"])
        config = _runner.config_from_flags(tune.Config, values)
        assert (config.tuner, config.max_trials) == ("hyperband", 3)
        assert config.epochs == tune.Config.DEMO["epochs"]

    def test_every_setting_is_explained(self):
        for field in dataclasses.fields(tune.Config):
            assert field.metadata["help"].endswith("."), field.name


@pytest.mark.slow
def test_a_trial_comes_out_the_same_again(tmp_path, data_dir):
    config = tiny(tmp_path, data_dir)
    hypermodel = tune.ArmHyperModel(config, config.load_data())
    losses = []
    for _ in range(2):
        hp = keras_tuner.HyperParameters()
        model = hypermodel.build(hp)
        history = hypermodel.fit(hp, model, epochs=2).history
        losses.append(history["val_loss"])
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_hyperband_goes_on_from_its_checkpoints(tmp_path, data_dir):
    config = tiny(
        tmp_path,
        data_dir,
        tuner="hyperband",
        epochs=4,
        max_trials=7,
        plots=False,
        verbose=True,
    )
    trials = tune.run(config)["trials"]
    assert len(trials) == 7
    names = [trial["hyperparameters"].get("tuner/trial_id") for trial in trials]
    assert any(names)
    assert {trial["status"] for trial in trials} == {"COMPLETED"}


@pytest.mark.slow
def test_other_settings_end_without_a_traceback(tmp_path):
    config = tiny(tmp_path, None)
    tune.claim(config)
    script = str(ROOT / "examples/tune.py")
    run = subprocess.run(
        [sys.executable, script, f"--output_dir={config.output_dir}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "holds a run with another" in run.stderr
    assert "Traceback" not in run.stderr
