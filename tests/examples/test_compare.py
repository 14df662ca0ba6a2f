import dataclasses
import json

import numpy as np
import pytest

from examples import (
    _runner,
    _training,
    celeb_a,
    cityscapes,
    compare,
    gloria,
    nyuv2,
    robot_arm,
    rooms,
)
from examples._methods import METHODS
from examples._robot_arm import RobotArm


def tiny(folder, data_dir, **changes):
    arguments = {
        "datasets": ("robot_arm",),
        "methods": ("stl", "mtl", "saal_w"),
        "seeds": (0, 1),
        "epochs": 2,
        "batch_size": 500,
        "data_dir": data_dir,
        "output_dir": str(folder),
        "verbose": False,
    }
    return compare.Config(**{**arguments, **changes})


@pytest.fixture
def trained(monkeypatch):
    """Training with known errors: mtl has 10 % less, saal_w 20 %."""
    calls = []

    def fake_train(problem, method, name, seed, data, callbacks):
        calls.append((name, seed))
        error = {"stl": 1.0, "mtl": 0.9, "saal_w": 0.8, "saal_e": 0.7}[name]
        error += 0.01 * seed if name == "mtl" else 0.0
        return None, {
            "method": name,
            "seed": seed,
            "scores": {task: {"rmse": error} for task in problem.tasks},
            "parameters": 1234,
            "seconds": 2.0,
        }

    monkeypatch.setattr(_training, "train", fake_train)
    return calls


def test_tables_of_methods_and_seeds(tmp_path, data_dir, trained, capsys):
    results = compare.run(tiny(tmp_path, data_dir))["robot_arm"]
    assert trained == [
        (name, seed) for seed in (0, 1) for name in ("stl", "mtl", "saal_w")
    ]
    folder = tmp_path / "robot_arm"
    written = json.loads((folder / "results.json").read_text())
    assert written == json.loads(json.dumps(results))
    assert written["summary"]["saal_w"]["delta_m"]["mean"] == pytest.approx(20)
    spread = written["summary"]["mtl"]["delta_m"]
    assert spread["mean"] == pytest.approx(9.5)
    assert spread["std"] == pytest.approx(np.std([10, 9], ddof=1))
    markdown = (folder / "table.md").read_text().splitlines()
    assert markdown[2].endswith(
        "| mean rmse ↓ | Δm ↑ | seconds ↓ | parameters ↓ |"
    )
    row = [cell.strip() for cell in markdown[6].strip("|").split("|")]
    assert row[0] == "saal_w"
    assert row[1] == "0.8000 ± 0.0000"
    assert row[-3:] == ["+20.00 ± 0.00", "2.0 ± 0.0", "1,234"]
    text = (folder / "table.txt").read_text()
    assert text in capsys.readouterr().out
    assert "mean ± sd over 2 seeds" in text


def test_goes_on_run_by_run_and_with_more(tmp_path, data_dir, trained):
    def interrupted(*arguments, train=_training.train):
        if len(trained) == 4:
            raise KeyboardInterrupt
        return train(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare.run(tiny(tmp_path, data_dir))
    compare.run(tiny(tmp_path, data_dir))
    assert len(trained) == len({*trained}) == 6
    more = tiny(tmp_path, data_dir, seeds=(0, 1, 2), methods=("stl", "mtl"))
    results = compare.run(more)["robot_arm"]
    assert trained[6:] == [("stl", 2), ("mtl", 2)]
    assert [*results["summary"]] == ["stl", "mtl"]


def test_refuses_other_settings(tmp_path, data_dir, trained):
    compare.run(tiny(tmp_path, data_dir, seeds=(0,)))
    other = {"seeds": (0,), "epochs": 3}
    with pytest.raises(FileExistsError, match="a run with another epochs"):
        compare.run(tiny(tmp_path, data_dir, **other))
    compare.run(tiny(tmp_path, data_dir, **other, overwrite=True))
    assert len(trained) == 6


def test_overwriting_leaves_nothing_of_the_old_runs(
    tmp_path, data_dir, trained, monkeypatch
):
    compare.run(tiny(tmp_path, data_dir))
    old = tmp_path / "robot_arm/enumeration_0"
    old.mkdir()

    def interrupted(*arguments):
        raise KeyboardInterrupt

    other = tiny(tmp_path, data_dir, epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(_training, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare.run(dataclasses.replace(other, overwrite=True))
    assert not old.exists()
    assert not (tmp_path / "robot_arm/results.json").exists()
    compare.run(other)  # goes on, and takes nothing for finished
    assert len(trained) == 12


def test_a_run_that_diverges_is_left_out(
    tmp_path, data_dir, trained, monkeypatch, capsys
):
    def train(
        problem, method, name, seed, data, callbacks, train=_training.train
    ):
        if (name, seed) == ("mtl", 1):
            raise _runner.DivergedError("Training 'mtl' with seed 1 diverged.")
        return train(problem, method, name, seed, data, callbacks)

    with monkeypatch.context() as patch:
        patch.setattr(_training, "train", train)
        results = compare.run(tiny(tmp_path, data_dir))["robot_arm"]
    assert results["failures"] == ["Training 'mtl' with seed 1 diverged."]
    assert results["summary"]["mtl"]["delta_m"]["std"] is None
    assert results["summary"]["saal_w"]["delta_m"]["std"] is not None
    assert "failed: Training 'mtl'" in capsys.readouterr().out
    again = compare.run(tiny(tmp_path, data_dir))["robot_arm"]
    assert again["failures"] == []
    assert trained[-1] == ("mtl", 1)


def test_nothing_but_failures(tmp_path, data_dir, monkeypatch):
    def train(*arguments):
        raise _runner.DivergedError("Training diverged.")

    monkeypatch.setattr(_training, "train", train)
    with pytest.raises(RuntimeError, match="No run on robot_arm ended well"):
        compare.run(tiny(tmp_path, data_dir))


def test_each_seed_has_an_enumeration_of_its_own(
    tmp_path, data_dir, trained, monkeypatch
):
    seeds = []

    class Gains:
        def graph(self):
            return "the graph"

    def enumerate_pairs(problem, data, directory):
        assert directory == tmp_path / f"robot_arm/enumeration_{seeds[-1]}"
        assert problem.seeds == (seeds[-1],)
        return Gains()

    def train(
        problem, method, name, seed, data, callbacks, train=_training.train
    ):
        assert method.auxiliaries == "the graph"
        return train(problem, method, name, seed, data, callbacks)

    def with_graph(method, problem, data, with_graph=compare.with_graph):
        seeds.append(problem.seeds[0])
        return with_graph(method, problem, data)

    monkeypatch.setattr(_training, "enumerate_pairs", enumerate_pairs)
    monkeypatch.setattr(_training, "train", train)
    monkeypatch.setattr(compare, "with_graph", with_graph)
    compare.run(tiny(tmp_path, data_dir, methods=("saal_e",), seeds=(3, 4)))
    assert seeds == [3, 4]


def test_recipes_are_the_published_ones():
    config = compare.Config(datasets=("rooms",))
    recipes = {
        name: config.problem(name)
        for name in ("nyuv2", "cityscapes", "celeb_a", "robot_arm", "gloria")
    }
    lengths = {n: (r.epochs, r.batch_size) for n, r in recipes.items()}
    assert lengths == {
        "nyuv2": (200, 4),
        "cityscapes": (200, 4),
        "celeb_a": (25, 512),
        "robot_arm": (1000, 50),
        "gloria": (1000, 50),
    }
    for name in ("nyuv2", "cityscapes", "celeb_a"):
        optimizer = recipes[name].optimizer(1000)
        assert optimizer.momentum == 0.9
        # What PyTorch's 1e-4 comes to, which goes through the momentum.
        assert optimizer.weight_decay == pytest.approx(1e-3)
        rates = [float(optimizer._learning_rate(step)) for step in (0, 500)]
        assert rates == pytest.approx([0.1, 0.05])
        optimizer = recipes[name].optimizer(1000)
    assert recipes["celeb_a"].fraction == 0.1
    assert len(recipes["celeb_a"].tasks) == 9
    for name in ("robot_arm", "gloria"):
        optimizer = recipes[name].optimizer(1000)
        assert float(optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("runner", "problem"),
    [
        (rooms, rooms.Rooms),
        (nyuv2, nyuv2.NYUv2),
        (cityscapes, cityscapes.Cityscapes),
        (celeb_a, celeb_a.CelebA),
        (gloria, gloria.Gloria),
        (robot_arm, RobotArm),
    ],
)
def test_runners_have_the_recipe_of_their_problem(runner, problem):
    own, recipe = runner.Config(), problem()
    for name in ("epochs", "batch_size", "learning_rate", "jit_compile"):
        assert getattr(own, name) == getattr(recipe, name)


def test_overrides_reach_the_problems_that_have_them():
    config = compare.Config(
        datasets=("rooms", "nyuv2", "celeb_a"),
        epochs=7,
        batch_size=3,
        learning_rate=0.5,
        size="96x128",
        manual_dir="there",
        data_dir="here",
    )
    problems = [config.problem(name) for name in config.datasets]
    rooms, nyuv2, celeb_a = problems
    for problem in problems:
        assert problem.epochs == 7
        assert problem.batch_size == 3
        assert problem.learning_rate == 0.5
        assert problem.data_dir == "here"
    assert rooms.size == "96x128"
    assert nyuv2.manual_dir == celeb_a.manual_dir == "there"
    assert celeb_a.size == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ()}, r"`datasets` must be names from.*datasets=\[\]"),
        ({"datasets": ("rooms", "rooms")}, "`datasets` must be names"),
        ({"datasets": ("mnist",)}, r"Received: datasets=\['mnist'\]"),
        ({"methods": ("mtl", "saal")}, "`methods` must be names from"),
        ({"datasets": ("rooms",), "size": "9x9"}, "`size` must be one of"),
        ({"epochs": -1}, "`epochs` must be a positive number"),
        (
            {"datasets": ("gloria",), "learning_rate": -1.0},
            "`learning_rate` must be a positive number",
        ),
    ],
)
def test_refuses(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path, None, **changes)


def test_every_method_that_is_asked_for_is_there():
    assert [*METHODS] == [
        "stl",
        "mtl",
        "uncertainty",
        "dwa",
        "auto_lambda",
        "grad_drop",
        "pcgrad",
        "cagrad",
        "saal_e",
        "saal_w",
        "saal_ew",
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyArms(compare.RobotArm):
    num_tasks: int = _runner.setting(2, "Two.")
    train_per_task: int = _runner.setting(10, "Ten.")
    jit_compile: bool = _runner.setting(False, "No.")


@pytest.mark.slow
def test_a_real_comparison(tmp_path, data_dir, monkeypatch):
    monkeypatch.setitem(compare.DATASETS, "robot_arm", TinyArms)
    config = tiny(tmp_path, data_dir, methods=tuple(METHODS), seeds=(0,))
    summary = compare.run(config)["robot_arm"]["summary"]
    assert [*summary] == [*METHODS]
    assert {of["parameters"] for of in summary.values()} == {
        summary["mtl"]["parameters"],
        summary["stl"]["parameters"],
    }
    assert all("delta_m" in of for name, of in summary.items() if name != "stl")
    # Nothing is trained again.
    config_again = tiny(tmp_path, data_dir, methods=("stl",), seeds=(0,))
    monkeypatch.setattr(_training, "train", None)
    compare.run(config_again)
