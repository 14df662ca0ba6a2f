import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import keras_selfaux
from examples import _runner, robot_arm
from examples._array_data import ArrayData
from examples._methods import METHODS, Method
from keras_selfaux.datasets import load_robot_arm
from tests.examples.settings import TASKS, tiny_settings

ROOT = pathlib.Path(__file__).parents[2]


def tiny(folder, data_dir, **changes):
    settings = tiny_settings(
        folder / "results",
        data_dir,
        method=("stl", "mtl", "saal_w"),
        export_dir=str(folder / "exports"),
    )
    return robot_arm.Config(**{**settings, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """A run of all methods: its config, its results and its folder."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, data_dir, seeds=(0, 1))
    return config, robot_arm.run(config), folder


class TestRun:
    def test_returns_what_it_writes(self, finished):
        config, results, folder = finished
        written = json.loads((folder / "results/results.json").read_text())
        assert written == json.loads(json.dumps(results))
        assert written["config"]["epochs"] == config.epochs
        assert written["versions"]["keras"] == keras.__version__
        assert {*results} == {
            "config",
            "export",
            "runs",
            "seconds",
            "summary",
            "versions",
        }

    def test_runs_every_method_with_every_seed(self, finished):
        _, results, _ = finished
        runs = [(run["seed"], run["method"]) for run in results["runs"]]
        methods = ["stl", "mtl", "saal_w"]
        assert runs == [(s, m) for s in (0, 1) for m in methods]
        for run in results["runs"]:
            assert [*run["scores"]] == TASKS
            assert all(of["rmse"] > 0 for of in run["scores"].values())
            assert 1 <= run["best_epoch"] <= 2
            assert run["seconds"] > 0

    def test_only_saal_w_has_clones_and_learned_weights(self, finished):
        _, results, _ = finished
        for run in results["runs"]:
            weights = run["task_weights"]
            if run["method"] == "saal_w":
                assert [*weights["arm_0"]] == ["arm_0", "arm_1"]
                assert weights["arm_0"]["arm_1"] == pytest.approx(0.1, rel=0.1)
            else:
                assert weights == {task: {task: 1.0} for task in TASKS}

    def test_summary_is_over_seeds(self, finished):
        _, results, _ = finished
        errors = {name: [] for name in results["summary"]}
        for run in results["runs"]:
            errors[run["method"]].append(run["scores"]["arm_1"]["rmse"])
        for name, values in errors.items():
            spread = results["summary"][name]["scores"]["arm_1"]["rmse"]
            assert spread["mean"] == pytest.approx(np.mean(values))
            assert spread["std"] == pytest.approx(np.std(values, ddof=1))
        changes = [
            100 * (own - single) / -single
            for own, single in zip(errors["mtl"], errors["stl"], strict=True)
        ]
        spread = results["summary"]["mtl"]["changes"]["arm_1"]
        assert spread["mean"] == pytest.approx(np.mean(changes))
        assert "delta_m" in results["summary"]["saal_w"]
        assert "delta_m" not in results["summary"]["stl"]

    def test_export_has_the_errors_of_the_best_run(self, finished, data_dir):
        _, results, folder = finished
        best = min(
            (run for run in results["runs"] if run["method"] == "saal_w"),
            key=lambda run: run["val_loss"],
        )
        assert results["export"]["seed"] == best["seed"]
        assert results["export"]["largest_difference"] <= 1e-5
        path = folder / "exports/1"
        assert results["export"]["path"] == str(path)
        notes = json.loads((path / "assets.extra/selfaux.json").read_text())
        assert notes["metadata"]["seed"] == best["seed"]
        assert notes["metadata"]["scores"] == best["scores"]
        assert notes["metadata"]["settings"]["epochs"] == 2
        x, y = load_robot_arm(2, 10, data_dir=data_dir)["test"]
        served = tf.saved_model.load(str(folder / "exports/1"))
        for task, predicted in served.serve(x).items():
            squares = (predicted.numpy() - y[task]) ** 2
            rmse = np.sqrt(np.nanmean(squares))
            assert rmse == pytest.approx(best["scores"][task]["rmse"], rel=1e-4)

    def test_draws_weights_and_changes(self, finished):
        _, _, folder = finished
        names = {path.name for path in (folder / "results").iterdir()}
        assert names == {
            "results.json",
            "task_changes.png",
            "task_weights.png",
            "weight_history.png",
        }

    def test_refuses_to_overwrite_before_it_trains(self, finished):
        config, _, folder = finished
        with pytest.raises(FileExistsError, match=r"results\.json' holds the"):
            robot_arm.run(config)
        assert [path.name for path in (folder / "exports").iterdir()] == ["1"]

    def test_demo_replaces_only_a_demo(self, tmp_path, data_dir):
        demo = tiny(tmp_path, data_dir, demo=True)
        path = tmp_path / "results/results.json"
        assert _runner.check_output(demo) == path
        _runner.write_json(path, {"config": {"demo": True}})
        assert _runner.check_output(demo) == path
        _runner.write_json(path, {"config": {"demo": False}})
        with pytest.raises(FileExistsError, match="Pass --overwrite"):
            _runner.check_output(demo)
        path.write_text("not JSON")
        with pytest.raises(FileExistsError, match="Pass --overwrite"):
            _runner.check_output(demo)
        assert _runner.check_output(dataclasses.replace(demo, overwrite=True))

    def test_second_run_with_a_graph_and_no_plots(
        self, tmp_path, data_dir, capsys
    ):
        graph = keras_selfaux.TransferGraph(TASKS, [("arm_1", "arm_0")])
        graph.to_json(tmp_path / "graph.json")
        (tmp_path / "exports/7").mkdir(parents=True)
        config = tiny(
            tmp_path,
            data_dir,
            method=("mtl",),
            auxiliaries=str(tmp_path / "graph.json"),
            plots=False,
            verbose=True,
            demo=True,
        )
        results = robot_arm.run(config)
        assert results["runs"][0]["task_weights"] == {
            "arm_0": {"arm_0": 1.0, "arm_1": 1.0},
            "arm_1": {"arm_1": 1.0},
        }
        assert results["export"]["path"] == str(tmp_path / "exports/8")
        assert results["summary"]["mtl"]["means"]["rmse"]["std"] is None
        assert not list((tmp_path / "results").glob("*.png"))
        printed = capsys.readouterr().out
        assert "A shortened run" in printed
        assert "mtl      seed 0  epoch 2/2  val_loss" in printed
        assert "Δm" not in printed


@pytest.mark.slow
def test_methods_that_enumerate_train_with_the_graph_they_find(
    tmp_path, data_dir
):
    config = tiny(tmp_path, data_dir, method=("saal_e", "saal_ew"), plots=False)
    results = robot_arm.run(config)
    folder = tmp_path / "results"
    graph = keras_selfaux.TransferGraph.from_json(folder / "graph.json")
    gains = keras_selfaux.discovery.TransferGains.from_json(
        folder / "gains.json"
    )
    assert graph == gains.graph()
    assert len(gains.runs) == 3
    plain, learned = (run["task_weights"] for run in results["runs"])
    for target in TASKS:
        teachers = {target, *graph.sources_of(target)}
        assert plain[target] == dict.fromkeys(teachers, 1.0)
        assert set(learned[target]) == teachers
        assert sum(learned[target].values()) == pytest.approx(1.0, rel=1e-5)
    assert results["export"]["method"] == "saal_ew"


class TestConfig:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"method": ()}, r"`method` must be names.*Received: method=\[\]"),
            ({"method": ("stl", "stl")}, "`method` must be names"),
            ({"method": ("saal",)}, r"Received: method=\['saal'\]"),
            ({"seeds": ()}, r"`seeds` must be integers.*Received: seeds=\(\)"),
            ({"seeds": (1, 1)}, "`seeds` must be integers"),
            ({"seeds": (-1,)}, "`seeds` must be integers"),
            ({"epochs": 0}, "`epochs` must be a positive.*Received: epochs=0"),
            ({"batch_size": -1}, "`batch_size` must be a positive number"),
            ({"learning_rate": float("nan")}, "`learning_rate` must be a pos"),
            ({"num_tasks": 101}, "`num_tasks` must be an integer from 1 to"),
            ({"train_per_task": 0}, "`train_per_task` must be an integer"),
            ({"weighting": "none"}, "`weighting` must be a known name"),
            ({"aggregator": "none"}, "`aggregator` must be a known name"),
            ({"num_shared": -2}, "`num_shared` must be a number of stages"),
            ({"auxiliaries": "some"}, "`auxiliaries` must be all, none or"),
            (
                {"method": ("stl",), "auxiliaries": "all"},
                "do not concern stl",
            ),
        ],
    )
    def test_refuses(self, tmp_path, changes, message):
        with pytest.raises(ValueError, match=message):
            tiny(tmp_path, None, **changes)

    def test_refuses_a_graph_of_other_tasks(self, tmp_path):
        path = tmp_path / "graph.json"
        keras_selfaux.TransferGraph.complete(["a", "b"]).to_json(path)
        with pytest.raises(ValueError, match=r"must have the tasks arm_0,"):
            tiny(tmp_path, None, auxiliaries=str(path))

    def test_sharing_depth(self, tmp_path):
        config = tiny(tmp_path, None, num_shared=1)
        assert config.resolve("stl").paths == 0
        assert config.resolve("saal_w").paths == 1
        assert tiny(tmp_path, None).resolve("saal_w").paths == "half"

    def test_overrides_leave_the_baseline(self, tmp_path):
        config = tiny(
            tmp_path,
            None,
            auxiliaries="none",
            weighting="dwa",
            aggregator="cagrad",
        )
        assert config.resolve("stl") == METHODS["stl"]
        assert config.resolve("mtl") == Method(
            auxiliaries="none",
            weighting="dwa",
            aggregator="cagrad",
        )


class TestSharedData:
    def test_batches_have_one_size(self):
        split = (np.arange(7.0)[:, None], {"arm_0": np.arange(7.0)[:, None]})
        batches = list(ArrayData({"train": split}, 5).endless("train").take(7))
        values = [x for batch in batches for x in batch[0][:, 0].numpy()]
        assert {len(batch[0]) for batch in batches} == {5}
        assert sorted(values[:7]) == list(range(7))  # an epoch
        assert (
            len(next(iter(ArrayData({"train": split}, 50).endless("train")))[0])
            == 7
        )


class TestFlags:
    @pytest.fixture
    def parse(self):
        def parse(*arguments):
            values = flags.FlagValues()
            _runner.define_flags(robot_arm.Config, values)
            values(["robot_arm.py", *arguments])
            return _runner.config_from_flags(robot_arm.Config, values)

        return parse

    def test_no_flags_give_the_full_run(self, parse):
        assert parse() == robot_arm.Config()
        assert parse().epochs == 1000

    def test_lists_and_numbers(self, parse):
        config = parse("--method=stl,mtl", "--seeds=3,4", "--learning_rate=0.1")
        assert config.method == ("stl", "mtl")
        assert config.seeds == (3, 4)
        assert config.learning_rate == 0.1

    def test_demo_gives_way_to_what_is_said(self, parse):
        demo = robot_arm.Config.DEMO
        assert parse("--demo").epochs == demo["epochs"]
        assert parse("--demo").method == ("stl", "mtl", "saal_w")
        config = parse("--demo", "--epochs=3")
        assert (config.epochs, config.seeds) == (3, demo["seeds"])

    def test_refuses_seeds_that_are_no_numbers(self, parse):
        with pytest.raises(ValueError, match="`seeds` must be a list of numb"):
            parse("--seeds=0,b")

    def test_every_setting_is_explained(self):
        for field in dataclasses.fields(robot_arm.Config):
            assert field.metadata["help"].endswith("."), field.name


def test_missing_matplotlib_is_told_early(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"keras_selfaux\[plots\]"):
        robot_arm.run(tiny(tmp_path, None))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command_line_help():
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples/robot_arm.py"), "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith("Robot arms that learn from each other")
    for field in dataclasses.fields(robot_arm.Config):
        assert f"{field.name}:" in run.stdout
