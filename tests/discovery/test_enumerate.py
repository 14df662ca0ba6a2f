import itertools
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_selfaux.discovery import (
    TransferGains,
    _checkpoint,
    _enumerate,
    _forest_search,
    enumerate_transfer,
)
from tests.discovery.networks import TASKS, build_model, build_plain, make_data

TWO = ["a", "b"]


def enumerate_two(build=build_model, **changes):
    x, y = make_data()
    held_out = make_data(9, seed=1)
    settings = {"epochs": 2, "batch_size": 8, "verbose": False, **changes}
    tasks = settings.pop("tasks", TWO)
    data = settings.pop("train_data", (x, y))
    validation = settings.pop("validation_data", held_out)
    return enumerate_transfer(build, tasks, data, validation, **settings)


def assert_same(one, other, tolerance):
    assert [run.run_id for run in one.runs] == [r.run_id for r in other.runs]
    for first, second in zip(one.runs, other.runs, strict=True):
        assert first[:4] == second[:4]
        assert first.metrics.keys() == second.metrics.keys()
        for task, metrics in first.metrics.items():
            assert metrics == pytest.approx(second.metrics[task], rel=tolerance)
    np.testing.assert_allclose(one.by_seed, other.by_seed, rtol=0.01)


class TestBothWays:
    @pytest.mark.slow
    def test_agree(self):
        ways = [
            enumerate_two(
                lambda tasks: build_model(tasks, metrics=["mae"]),
                seeds=(3,),
                metrics=["loss", "mae"],
                higher_is_better={"mae": False},
                strategy=strategy,
            )
            for strategy in ("forest", "tuner")
        ]
        assert_same(*ways, tolerance=2e-5)
        gains = ways[0]
        assert gains.tasks == ("a", "b")
        assert gains.by_seed.shape == (1, 2, 2)
        assert [run.run_id for run in gains.runs][:3] == [
            "a/seed_3",
            "b/seed_3",
            "a/b/seed_3",
        ]
        alone, _, pair = gains.runs[:3]
        change = [
            1 - pair.metrics["a"][m] / alone.metrics["a"][m]
            for m in ("loss", "mae")
        ]
        # Row a, column b: what b brings a.
        assert gains.by_seed[0, 0, 1] == pytest.approx(100 * np.mean(change))
        assert gains.runs[0].best_epoch in (1, 2)

    def test_auto_takes_the_forest_where_networks_stack(self, tmp_path):
        enumerate_two(directory=tmp_path)
        assert (tmp_path / "enumeration_forest/state.json").exists()

    @pytest.mark.slow
    def test_a_functional_network_is_known_again(self, tmp_path):
        x, y = make_data()
        y["a"] = np.nan_to_num(y["a"])
        for _ in range(2):  # its layers have other names the second time
            enumerate_two(
                build_plain,
                train_data=(x, y),
                validation_data=(x, y),
                epochs=1,
                directory=tmp_path,
            )
        trials = list((tmp_path / "enumeration_trials").glob("trial_*"))
        assert len(trials) == 3

    def test_auto_takes_the_tuner_for_other_networks(self, tmp_path):
        x, y = make_data()
        y["a"] = np.nan_to_num(y["a"])
        gains = enumerate_two(
            build_plain,
            train_data=(x, y),
            validation_data=(x, y),
            epochs=1,
            directory=tmp_path,
        )
        assert (tmp_path / "enumeration_trials/oracle.json").exists()
        assert np.all(np.isfinite(gains.by_seed))
        assert not np.any(gains.by_seed[:, [0, 1], [1, 0]] == 0)

    def test_a_forest_of_other_networks_is_refused(self):
        with pytest.raises(ValueError, match=r"cannot train as a forest.*Func"):
            enumerate_two(build_plain, strategy="forest")

    @pytest.mark.slow
    def test_data_sets_give_what_arrays_give_in_their_order(self):
        x, y = make_data(8)
        one = enumerate_two(train_data=(x, y), epochs=1)
        dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        held_out = tf.data.Dataset.from_tensor_slices(make_data(9, seed=1))
        other = enumerate_two(
            train_data=dataset, validation_data=held_out.batch(4), epochs=1
        )
        assert_same(one, other, tolerance=1e-5)  # one batch: order is nothing

    @pytest.mark.slow
    def test_a_network_that_diverges_is_unknown(self):
        def build(tasks):
            wild = keras.optimizers.SGD(1e30 if tasks == ["a"] else 0.01)
            return build_model(tasks, optimizer=wild)

        with pytest.warns(UserWarning, match=r"gains of 1 edges.*: b->a\."):
            gains = enumerate_two(build, strategy="tuner")
        assert np.isnan(gains.mean[0, 1])
        assert np.isfinite(gains.mean[1, 0])
        assert gains.graph().edges in ((), (("a", "b"),))
        assert gains.runs[0].best_epoch == 0


class StoppedError(Exception):
    """Ends a search somewhere."""


class StopsAtEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise StoppedError


class TestResuming:
    @pytest.mark.slow
    def test_a_forest_goes_on_where_it_was(self, tmp_path, monkeypatch):
        whole = enumerate_two(epochs=5)

        class Eager(_checkpoint.Checkpoint):
            def __init__(self, folder, best):
                super().__init__(folder, best, seconds=0.0)

        monkeypatch.setattr(_forest_search, "Checkpoint", Eager)
        monkeypatch.setattr(_forest_search, "_Progress", StopsAtEpoch)
        with pytest.raises(StoppedError):
            enumerate_two(epochs=5, directory=tmp_path, verbose=True)
        assert files_in(tmp_path) == {
            "enumeration.json",
            "enumeration_forest/state.json",
            "enumeration_forest/epoch_3.weights.h5",
        }
        fitted = []
        monkeypatch.setattr(
            _forest_search, "fit", spy(_forest_search.fit, fitted)
        )
        rest = enumerate_two(epochs=5, directory=tmp_path)
        assert fitted == [3]
        assert_same(rest, whole, tolerance=1e-6)
        # And once more only reads.
        again = enumerate_two(epochs=5, directory=tmp_path)
        assert fitted == [3]
        assert_same(again, rest, tolerance=0)

    @pytest.mark.slow
    def test_a_tuner_goes_on_where_it_was(self, tmp_path):
        whole = enumerate_two(strategy="tuner")
        calls = itertools.count()

        def build(tasks):
            if next(calls) == 3:  # the first is asked what it is like
                raise StoppedError("no power")
            return build_model(tasks)

        with pytest.raises(StoppedError, match="no power"):
            enumerate_two(build, strategy="tuner", directory=tmp_path)
        built = []

        def build_again(tasks):
            built.append(tasks)
            return build_model(tasks)

        rest = enumerate_two(build_again, strategy="tuner", directory=tmp_path)
        assert built == [["a", "b"], ["a", "b"]]  # asked once, trained once
        assert_same(rest, whole, tolerance=1e-6)
        trials = list((tmp_path / "enumeration_trials").glob("trial_*"))
        assert len(trials) == 3

    def test_other_metrics_need_no_training(self, tmp_path, monkeypatch):
        def build(tasks):
            return build_model(tasks, metrics=["mae"])

        by_loss = enumerate_two(build, directory=tmp_path)
        monkeypatch.setattr(_forest_search, "fit", None)
        by_error = enumerate_two(
            build,
            metrics="mae",
            higher_is_better={"mae": False},
            directory=tmp_path,
        )
        assert by_error.runs == by_loss.runs
        assert by_error.mean[0, 1] != by_loss.mean[0, 1]

    @pytest.mark.parametrize(
        ("changes", "different"),
        [
            ({"epochs": 3}, "epochs"),
            ({"seeds": (1,)}, "seeds"),
            ({"tasks": ["b", "a"]}, "tasks, build_model"),
            ({"train_data": make_data(10)}, "train_data"),
            (
                {"build": lambda tasks: build_model(tasks, optimizer="sgd")},
                "build_model",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_another_enumeration_is_not_touched(
        self, enumerated, changes, different
    ):
        before = {
            n: (enumerated / n).read_bytes() for n in files_in(enumerated)
        }
        with pytest.raises(
            FileExistsError, match=rf"other settings.*different {different}\."
        ):
            enumerate_two(directory=enumerated, **changes)
        after = {n: (enumerated / n).read_bytes() for n in files_in(enumerated)}
        assert after == before

    @pytest.mark.slow
    def test_unless_it_is_to_be_overwritten(self, tmp_path):
        enumerate_two(directory=tmp_path, epochs=1)
        gains = enumerate_two(directory=tmp_path, epochs=2, overwrite=True)
        assert isinstance(gains, TransferGains)
        assert (tmp_path / "enumeration_forest/epoch_2.weights.h5").exists()
        assert not (tmp_path / "enumeration_forest/epoch_1.weights.h5").exists()

    def test_only_an_enumeration_is_ever_removed(self, tmp_path):
        mine = ["thesis.tex", "epoch_01.weights.h5", "trials/0.json"]
        (tmp_path / "trials").mkdir()
        for name in mine:
            (tmp_path / name).write_text("precious")
        enumerate_two(directory=tmp_path, epochs=1, overwrite=True)
        enumerate_two(directory=tmp_path, epochs=2, overwrite=True)
        for name in mine:
            assert (tmp_path / name).read_text() == "precious"

    @pytest.mark.parametrize(
        "name",
        [
            "enumeration.json",
            pytest.param(
                "enumeration_forest/state.json", marks=pytest.mark.slow
            ),
        ],
    )
    def test_a_damaged_file_is_named(self, tmp_path, name):
        enumerate_two(directory=tmp_path, epochs=1)
        path = tmp_path / name
        path.write_text(path.read_text()[:20])
        with pytest.raises((ValueError, OSError), match=rf"{name}' is damaged"):
            enumerate_two(directory=tmp_path, epochs=1)
        gains = enumerate_two(directory=tmp_path, epochs=1, overwrite=True)
        assert np.all(np.isfinite(gains.by_seed))

    @pytest.mark.slow
    def test_missing_weights_are_named(self, tmp_path):
        enumerate_two(directory=tmp_path, epochs=1)
        state = json.loads(
            (tmp_path / "enumeration_forest/state.json").read_text()
        )
        state["epoch"] = 0  # as if it had yet to go on
        (tmp_path / "enumeration_forest/state.json").write_text(
            json.dumps(state)
        )
        (tmp_path / "enumeration_forest/epoch_1.weights.h5").unlink()
        with pytest.raises(ValueError, match=r"h5' does not hold the weights"):
            enumerate_two(directory=tmp_path, epochs=1)

    def test_a_name_that_was_never_measured(self, enumerated):
        with pytest.raises(ValueError, match=r"'mae'\].*measured: \['loss'\]"):
            enumerate_two(
                directory=enumerated,
                metrics="mae",
                higher_is_better={"mae": False},
            )

    @pytest.mark.slow
    def test_a_worker_leaves_overwriting_to_the_chief(
        self, tmp_path, monkeypatch
    ):
        enumerate_two(directory=tmp_path, epochs=1)
        before = (tmp_path / "enumeration.json").read_bytes()
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
        monkeypatch.setattr(_enumerate, "search_trials", lambda *_: None)
        assert (
            enumerate_two(directory=tmp_path, epochs=2, overwrite=True) is None
        )
        assert (tmp_path / "enumeration.json").read_bytes() == before
        with pytest.raises(ValueError, match=r"forest.*a chief and workers"):
            enumerate_two(directory=tmp_path, epochs=1, strategy="forest")


class TestTuner:
    @pytest.mark.slow
    def test_leaves_the_dtype_policy_alone(self):
        keras.config.set_dtype_policy("bfloat16")
        seen = []

        def build(tasks):
            seen.append(keras.config.dtype_policy().name)
            return build_model(tasks)

        enumerate_two(build, strategy="tuner", epochs=1)
        assert seen == ["bfloat16"] * 4
        assert keras.config.dtype_policy().name == "bfloat16"

    @pytest.mark.parametrize("kind", ["weights", "regularizer"])
    def test_a_loss_that_cannot_be_told_is_refused(self, kind):
        def build(tasks):
            if kind == "weights":
                return build_plain(tasks, loss_weights={tasks[0]: 0.1})
            return build_plain(tasks, kernel_regularizer="l2")

        with pytest.raises(ValueError, match="cannot be told from its weight"):
            enumerate_two(build)


class TestSteps:
    @pytest.mark.slow
    @pytest.mark.parametrize("strategy", ["forest", "tuner"])
    def test_an_execution_never_goes_beyond_an_epoch(self, strategy):
        gains = [
            enumerate_two(
                lambda tasks, s=steps: build_model(
                    tasks, steps_per_execution=s
                ),
                strategy=strategy,
            )
            for steps in (1, 2)  # an epoch has 3
        ]
        assert_same(*gains, tolerance=1e-5)


class TestAuto:
    @pytest.mark.slow
    def test_takes_the_tuner_where_planting_fails(self, tmp_path):
        def build(tasks):
            rate = 0.01 * len(tasks)
            return build_model(tasks, optimizer=keras.optimizers.SGD(rate))

        with pytest.warns(UserWarning, match="differ in more than tasks"):
            gains = enumerate_two(build, directory=tmp_path, epochs=1)
        assert (tmp_path / "enumeration_trials/oracle.json").exists()
        assert len(gains.runs) == 3
        with pytest.raises(ValueError, match="differ in more than tasks"):
            enumerate_two(build, strategy="forest", epochs=1)


def files_in(folder):
    found = folder.rglob("*")
    return {p.relative_to(folder).as_posix() for p in found if p.is_file()}


@pytest.fixture(scope="module")
def enumerated(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("enumeration")
    enumerate_two(directory=folder)
    return folder


def spy(function, calls):
    def call(*arguments):
        calls.append(arguments[-1])  # the first epoch
        return function(*arguments)

    return call


class TestArguments:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"strategy": "trees"}, "`strategy` must be one of"),
            ({"epochs": 0}, "`epochs` must be an integer of at least 1"),
            ({"batch_size": 1.5}, "`batch_size` must be an integer"),
            ({"seeds": ()}, "`seeds` must hold at least one seed"),
            ({"seeds": (1, 1)}, "`seeds` must hold at least one seed"),
            ({"seeds": (-1,)}, "`seeds` must be an integer of at least 0"),
            ({"tasks": []}, "`tasks` must hold at least one name"),
            ({"tasks": ["a"]}, "`tasks` must name at least two tasks"),
            ({"metrics": "mae"}, "does not say in which direction"),
            ({"train_data": 3}, "`train_data` must be a tf.data.Dataset"),
            (
                {"validation_data": (np.zeros((2, 4)), {"a": np.ones(2)})},
                "`validation_data` has no label of task 'b'",
            ),
            (
                {
                    "train_data": (
                        np.zeros((2, 4)),
                        {"a": np.ones(2), "b": np.full(2, np.nan)},
                    )
                },
                "`train_data` has no label of task 'b'",
            ),
            ({"build": lambda tasks: None}, "must return a compiled Keras"),
            (
                {"build": lambda tasks: build_model(TASKS)},
                r"`build_model\(tasks\)` must have one entry per task",
            ),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(ValueError, match=message):
            enumerate_two(**changes)

    @pytest.mark.parametrize("strategy", ["forest", "tuner"])
    def test_a_metric_that_is_not_measured_is_told_after_an_epoch(
        self, strategy
    ):
        with pytest.raises(ValueError, match="is not measured by"):
            enumerate_two(
                metrics="mae",
                higher_is_better={"mae": False},
                strategy=strategy,
                epochs=1000,
            )

    def test_a_chief_needs_a_folder(self, monkeypatch):
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        with pytest.raises(ValueError, match="need a `directory`"):
            enumerate_two()
