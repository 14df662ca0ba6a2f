import doctest
import math

import keras
import keras_tuner
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux import weightings
from keras_selfaux.discovery import SelfAuxHyperModel, TransferGains

TASKS = ["a", "b", "c"]
EDGES = [(s, t) for t in TASKS for s in TASKS if s != t]
GAINS = [[0.0, 3.0, -1.0], [2.0, 0.0, math.nan], [-4.0, 1.0, 0.0]]


def make(**changes):
    arguments = {
        "stages": [keras.layers.Dense(4, "relu") for _ in range(2)],
        "heads": {task: keras.layers.Dense(1) for task in TASKS},
        "loss": "mse",
        "jit_compile": False,
        "run_eagerly": True,
        **changes,
    }
    return SelfAuxHyperModel(**arguments)


def choose(**values):
    """Returns hyperparameters with these values, the others by default."""
    hp = keras_tuner.HyperParameters()
    hp.values = {
        name.replace("__", "/").replace("_to_", "->"): value
        for name, value in values.items()
    }
    return hp


def make_data(count=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3)).astype("float32")
    return x, {t: rng.normal(size=(count, 1)).astype("float32") for t in TASKS}


def search(tuner, **changes):
    x, y = make_data()
    arguments = {
        "validation_data": (x, y),
        "meta_data": (x, y),
        "verbose": 0,
        **changes,
    }
    tuner.search(x, y, **arguments)


class TestBuild:
    def test_default_is_plain_multi_task_learning(self):
        hp = choose()
        model = make().build(hp)
        assert model.compiled
        assert model.encoder.num_shared == 1
        assert model.transfer_graph.edges == ()
        assert isinstance(model.weighting, weightings.Equal)
        assert isinstance(model.optimizer, keras.optimizers.Adam)
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
        assert hp.values == {
            "num_shared": 1,
            "auxiliaries": "none",
            "weighting": "equal",
            "learning_rate": pytest.approx(1e-3),
        }

    @pytest.mark.parametrize("num_shared", [0, 1, 2])
    def test_num_shared(self, num_shared):
        model = make().build(choose(num_shared=num_shared))
        assert model.encoder.num_shared == num_shared

    def test_auxiliaries(self):
        model = make().build(choose(auxiliaries="all"))
        assert set(model.transfer_graph.edges) == set(EDGES)

    def test_named_auxiliaries(self):
        graph = keras_selfaux.TransferGraph(["c", "b", "a"], [("c", "a")])
        hypermodel = make(auxiliaries={"mine": graph, "yours": [("a", "b")]})
        model = hypermodel.build(choose())
        assert model.transfer_graph.tasks == tuple(TASKS)
        assert model.transfer_graph.edges == (("c", "a"),)
        model = hypermodel.build(choose(auxiliaries="yours"))
        assert model.transfer_graph.edges == (("a", "b"),)

    @pytest.mark.parametrize(
        ("threshold", "edges"),
        [
            (0.0, [("b", "a"), ("a", "b"), ("b", "c")]),
            (1.5, [("b", "a"), ("a", "b")]),
        ],
    )
    def test_threshold(self, threshold, edges):
        model = make(gains=GAINS).build(
            choose(auxiliaries="gains", threshold=threshold)
        )
        assert model.transfer_graph.edges == tuple(edges)

    def test_gains_come_in_the_order_of_the_heads(self):
        gains = TransferGains(["c", "b", "a"], np.array(GAINS)[::-1, ::-1])
        model = make(gains=gains).build(choose(auxiliaries="gains"))
        assert model.transfer_graph.edges == (
            ("b", "a"),
            ("a", "b"),
            ("b", "c"),
        )

    def test_each_edge(self):
        hp = choose(auxiliaries="each_edge", edge__c_to_a=True)
        model = make(each_edge=True).build(hp)
        assert model.transfer_graph.edges == (("c", "a"),)
        found = {name for name in hp.values if name.startswith("edge/")}
        assert found == {f"edge/{s}->{t}" for s, t in EDGES}

    def test_weighting_with_its_learning_rate(self):
        hp = choose(weighting="auto_lambda", auto_lambda__learning_rate=0.5)
        model = make().build(hp)
        assert isinstance(model.weighting, weightings.AutoLambda)
        assert model.weighting.learning_rate == 0.5

    def test_weighting_learning_rates_surround_their_own(self):
        hp = choose(weighting="famo")
        make(weightings=["equal", "famo"]).build(hp)
        assert hp.get("famo/learning_rate") == pytest.approx(0.025)
        (found,) = (p for p in hp.space if p.name == "famo/learning_rate")
        assert (found.min_value, found.max_value) == (0.0025, 0.25)
        assert found.sampling == "log"

    def test_weightings_as_configs_and_instances(self):
        config = {"class_name": "AutoLambda", "config": {"update_every": 3}}
        given = [config, weightings.Static({"a": 2.0}), "dwa"]
        hypermodel = make(weightings=given)
        model = hypermodel.build(choose())
        assert model.weighting.update_every == 3
        model = hypermodel.build(choose(weighting="static"))
        assert model.task_weights["a", "a"] == 2.0
        model = hypermodel.build(choose(weighting="dwa"))
        assert isinstance(model.weighting, weightings.DynamicWeightAverage)

    def test_named_weightings(self):
        normal = weightings.AutoLambda(normalize="branch")
        hypermodel = make(
            weightings={"plain": "auto_lambda", "normal": normal},
            weighting_learning_rates={"plain": (0.1, 0.4), "normal": 0.3},
        )
        hp = choose()
        assert hypermodel.build(hp).weighting.normalize is None
        assert hp.get("plain/learning_rate") == pytest.approx(0.2)
        hp = choose(weighting="normal")
        model = hypermodel.build(hp)
        assert model.weighting.normalize == "branch"
        assert model.weighting.learning_rate == 0.3
        assert not any("learning_rate" in n for n in hp.values if "/" in n)

    @pytest.mark.parametrize(
        "optimizer",
        [
            "sgd",
            {"class_name": "SGD", "config": {"learning_rate": 7.0}},
            keras.optimizers.SGD(
                keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5)
            ),
            keras.optimizers.SGD,
            lambda rate: keras.optimizers.SGD(rate, momentum=0.5),
        ],
    )
    def test_optimizer_and_learning_rate(self, optimizer):
        hypermodel = make(optimizer=optimizer)
        models = [hypermodel.build(choose(learning_rate=0.3)) for _ in "ab"]
        for model in models:
            assert isinstance(model.optimizer, keras.optimizers.SGD)
            rate = float(model.optimizer.learning_rate)
            assert rate == pytest.approx(0.3)
        assert models[0].optimizer is not models[1].optimizer

    def test_a_number_fixes_the_learning_rate(self):
        hp = choose()
        model = make(learning_rates=0.25).build(hp)
        assert float(model.optimizer.learning_rate) == 0.25
        assert "learning_rate" not in hp.values

    def test_compile_arguments(self):
        model = make(
            metrics=["mae"],
            aggregator="cagrad",
            jit_compile=True,
            run_eagerly=False,
            steps_per_execution=5,
            loss_weights={"b": 2.0},
        ).build(choose())
        assert isinstance(
            model.aggregator, keras_selfaux.aggregators.get("cagrad").__class__
        )
        assert model.jit_compile is True
        assert model.steps_per_execution == 5
        assert model.edge_scales == [1.0, 2.0, 1.0]

    def test_metric_objects_are_copied(self):
        metric = keras.metrics.MeanAbsoluteError()
        model = make(metrics={"a": [metric]}).build(choose())
        x, y = make_data()
        model.evaluate(x, y, verbose=0)
        assert float(metric.result()) == 0.0

    def test_built_with_the_optimizer_where_the_inputs_are_known(self):
        model = make(input_shape=(None, 3)).build(choose())
        assert model.built
        assert model.optimizer.built
        assert not make().build(choose()).built

    def test_copies_start_from_built_templates(self):
        stages = [keras.layers.Dense(4) for _ in range(2)]
        stages[0].build((None, 3))
        kernel, _ = stages[0].get_weights()
        hypermodel = make(stages=stages, input_shape=(None, 3))
        for num_shared in (0, 2):
            model = hypermodel.build(choose(num_shared=num_shared))
            (stack, *_) = model.encoder.stage_stacks
            for module in range(stack.count):
                found = stack.module_weights(module)[0]
                np.testing.assert_array_equal(found, kernel)


class TestSpace:
    def conditions(self, hypermodel):
        hp = choose()
        hypermodel.build(hp)
        return {
            found.name: [(c.name, c.values) for c in found.conditions]
            for found in hp.space
        }

    def test_conditions(self):
        each = [("auxiliaries", ["each_edge"])]
        found = self.conditions(make(gains=GAINS, each_edge=True))
        assert found == {
            "num_shared": [],
            "auxiliaries": [],
            "threshold": [("auxiliaries", ["gains"])],
            **{f"edge/{s}->{t}": each for s, t in EDGES},
            "weighting": [],
            "auto_lambda/learning_rate": [("weighting", ["auto_lambda"])],
            "learning_rate": [],
        }

    def test_all_are_seen_whatever_is_chosen(self):
        hypermodel = make(auxiliaries=(), gains=GAINS, each_edge=True)
        found = self.conditions(hypermodel)
        assert {f"edge/{s}->{t}" for s, t in EDGES} < {*found}

    def test_no_more_than_asked_for(self):
        found = self.conditions(make(weightings=["equal", "dwa"]))
        names = ["num_shared", "auxiliaries", "weighting", "learning_rate"]
        assert list(found) == names

    @pytest.mark.parametrize(
        ("gains", "thresholds"),
        [
            (GAINS, [-2.8, 0.0, 1.0, 2.2]),
            ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [0.0, 1.0]),
            # Deciles between the same gains make the same graph.
            ([[9, 2, None], [None, 9, None], [None, 6, 9]], [0.0, 2.4]),
        ],
    )
    def test_thresholds_make_different_graphs(self, gains, thresholds):
        hp = choose(auxiliaries="gains")
        hypermodel = make(gains=gains)
        hypermodel.build(hp)
        (found,) = (p for p in hp.space if p.name == "threshold")
        assert found.default == 0.0
        counts = [
            len(
                hypermodel.build(
                    choose(auxiliaries="gains", threshold=t)
                ).transfer_graph.edges
            )
            for t in found.values
        ]
        assert counts == sorted(set(counts), reverse=True)
        assert found.values == pytest.approx(thresholds)
        # As they come back from a worker.
        assert [float(np.float32(t)) for t in found.values] == found.values

    def test_depths_that_leave_out_the_half(self):
        hp = choose()
        make(num_shared=[2, 0]).build(hp)
        assert hp.get("num_shared") == 2

    def test_gains_alone(self):
        hp = choose()
        make(auxiliaries=(), gains=GAINS).build(hp)
        assert hp.get("auxiliaries") == "gains"


class TestErrors:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"stages": []}, "`stages` must be a list of Keras layers"),
            ({"heads": {"a": 1}}, "`heads` must be a dict"),
            ({"loss": None}, "`loss` is missing"),
            ({"loss": {"a": "mse"}}, "`loss` must have one entry per task"),
            ({"metrics": {"d": "mae"}}, "`metrics` names tasks that the mod"),
            (
                {"num_shared": [3]},
                r"`num_shared` must be numbers of stages.*Received: "
                r"num_shared=\[3\] for 2 stages",
            ),
            ({"num_shared": [1, 1]}, "`num_shared` must be numbers of stages"),
            ({"num_shared": []}, "`num_shared` must be numbers of stages"),
            ({"num_shared": ["half"]}, "`num_shared` must be numbers of st"),
            ({"auxiliaries": ()}, "`auxiliaries` must offer at least one"),
            ({"auxiliaries": ["some"]}, '`auxiliaries` must be "all", "none"'),
            (
                {"auxiliaries": ["gains"]},
                "`auxiliaries` must be names of choices.*Received: 'gains'",
            ),
            (
                {"auxiliaries": [keras_selfaux.TransferGraph(TASKS)]},
                "`auxiliaries` must be names of choices, or a dict with names",
            ),
            ({"auxiliaries": {"mine": [("a", "d")]}}, "unknown task 'd'"),
            ({"gains": [[0.0]]}, "`gains` must be a square matrix"),
            (
                {"gains": TransferGains(["a", "b"], np.ones((2, 2)))},
                "`gains` must have one entry per task",
            ),
            (
                {"gains": np.full((3, 3), np.nan)},
                "`gains` says nothing of any edge.*Leave `gains` out",
            ),
            ({"weightings": []}, "`weightings` must offer at least one"),
            (
                {"weightings": ["auto_lambda", weightings.AutoLambda()]},
                r"each name once. Received: \['auto_lambda', 'auto_lambda'\]",
            ),
            ({"weightings": ["best"]}, "`weighting` must be a known name"),
            (
                {
                    "weightings": [weightings.Static({("a", "b"): 2.0})],
                    "auxiliaries": ["all", "none"],
                },
                "`weights` of `Static` names losses that the model does not",
            ),
            (
                {
                    "weightings": [weightings.Static({("a", "b"): 2.0})],
                    "auxiliaries": ["all"],
                    "each_edge": True,
                },
                "`weights` of `Static` names losses that the model does not",
            ),
            (
                {"learning_rates": (1e-2, 1e-4)},
                r"`learning_rates` must be a range \(low, high\) of positive "
                r"numbers.*Received: learning_rates=\(0.01, 0.0001\)",
            ),
            ({"learning_rates": 0}, "`learning_rates` must be a range"),
            ({"learning_rates": (1, math.inf)}, "`learning_rates` must be a"),
            ({"learning_rates": (1, 2, 3)}, "`learning_rates` must be a ra"),
            ({"learning_rates": True}, "`learning_rates` must be a range"),
            ({"learning_rates": "fast"}, "`learning_rates` must be a range"),
            (
                {"weighting_learning_rates": {"equal": 0.1}},
                r"without a learning rate. Received: \['equal'\]. Weightings "
                r"that have one: \['auto_lambda'\]",
            ),
            (
                {"weighting_learning_rates": {"auto_lambda": -1.0}},
                r"`weighting_learning_rates\['auto_lambda'\]` must be a range",
            ),
            ({"optimizer": "best"}, "`optimizer` must be the name, the conf"),
            ({"optimizer": 3}, "with a learning rate of its own.*Received: op"),
            (
                {
                    "optimizer": keras.optimizers.LossScaleOptimizer(
                        keras.optimizers.SGD()
                    )
                },
                "with a learning rate of its own, or a function of one",
            ),
            (
                {"optimizer": lambda rate: rate},
                "`optimizer` must return a Keras optimizer. Received: 0.00",
            ),
            ({"aggregator": "best"}, "`aggregator` must be a known name"),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(ValueError, match=message):
            make(**changes)

    def test_refuses_too_many_edges_to_decide_on(self):
        heads = {f"t{i}": keras.layers.Dense(1) for i in range(6)}
        with pytest.raises(ValueError, match=r"`each_edge` is for up to 20 "):
            make(heads=heads, each_edge=True)
        del heads["t0"]
        make(heads=heads, each_edge=True)

    def test_refuses_unknown_compile_arguments(self):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            make(speed=3)

    def test_refuses_clones_that_do_not_fit(self):
        def reshaping(units):
            stack = [keras.layers.Dense(4), keras.layers.Reshape((units,))]
            return keras.Sequential(stack)

        heads = {"a": reshaping(4), "b": keras.layers.Dense(1)}
        make(heads=heads, input_shape=(None, 3))
        heads["a"] = reshaping(3)
        with pytest.raises(ValueError, match="'a'"):
            make(heads=heads, input_shape=(None, 3))


class TestFit:
    def test_meta_data_is_for_those_that_need_them(self):
        hypermodel = make()
        x, y = make_data()
        for weighting in ("auto_lambda", "equal"):
            hp = choose(weighting=weighting)
            model = hypermodel.build(hp)
            history = hypermodel.fit(
                hp, model, x, y, meta_data=(x, y), verbose=0
            )
            assert len(history.history["loss"]) == 1

    def test_missing_meta_data_end_a_search(self):
        hypermodel, hp = make(), choose(weighting="auto_lambda")
        model = hypermodel.build(hp)
        with pytest.raises(
            keras_tuner.errors.FatalValueError,
            match="Weighting 'auto_lambda' needs `meta_data`",
        ):
            hypermodel.fit(hp, model, *make_data())

    @pytest.mark.slow
    def test_a_search_goes_on_when_the_meta_data_are_there(self, tmp_path):
        def make_tuner():
            return keras_tuner.RandomSearch(
                make(weightings=["auto_lambda"]),
                "val_loss",
                max_trials=2,
                directory=tmp_path,
            )

        with pytest.raises(ValueError, match="needs `meta_data`"):
            search(make_tuner(), meta_data=None)
        tuner = make_tuner()
        # Only the trial that was begun, which is the first to be done now.
        tuner.oracle.max_trials = 1
        search(tuner)
        (trial,) = tuner.oracle.trials.values()
        assert trial.status == "COMPLETED"

    def test_type_errors_end_a_search(self):
        hypermodel, hp = make(), choose()
        model = hypermodel.build(hp)
        with pytest.raises(keras_tuner.errors.FatalTypeError, match="speed"):
            hypermodel.fit(hp, model, *make_data(), speed=3)

    def test_errors_of_building_end_a_search(self):
        with pytest.raises(
            keras_tuner.errors.FatalValueError, match="`paths` must be"
        ):
            make().build(choose(num_shared=9))

    def test_a_fatal_error_stays_as_it_is(self):
        def optimizer(rate):
            if rate > 0.5:
                raise keras_tuner.errors.FatalRuntimeError("too fast")
            return keras.optimizers.SGD(rate)

        hypermodel = make(optimizer=optimizer)
        with pytest.raises(
            keras_tuner.errors.FatalRuntimeError, match="too fast"
        ):
            hypermodel.build(choose(learning_rate=0.6))

    def test_divergence_fails_a_trial_alone(self):
        hypermodel = make(optimizer=lambda rate: keras.optimizers.SGD(1e30))
        hp, data = choose(), make_data()
        model = hypermodel.build(hp)
        finite = keras_selfaux.callbacks.FiniteLosses()
        arguments = {"epochs": 4, "callbacks": [finite], "verbose": 0}
        with pytest.raises(ValueError, match="are not finite") as raised:
            hypermodel.fit(hp, model, *data, **arguments)
        assert not isinstance(raised.value, keras_tuner.errors.FatalError)

    def test_val_loss_is_that_of_the_primaries_alone(self):
        hypermodel = make(weightings=["equal", weightings.Static({"a": 9.0})])
        x, y = make_data()
        losses = set()
        for auxiliaries, weighting in (("none", "equal"), ("all", "static")):
            keras.utils.set_random_seed(0)
            hp = choose(auxiliaries=auxiliaries, weighting=weighting)
            model = hypermodel.build(hp)
            history = hypermodel.fit(
                hp,
                model,
                x,
                y,
                sample_weight={t: np.zeros(8, "float32") for t in TASKS},
                validation_data=(x, y),
                verbose=0,
            ).history
            predictions = model.predict(x, verbose=0)
            wanted = sum(np.mean((predictions[t] - y[t]) ** 2) for t in TASKS)
            assert history["val_loss"][0] == pytest.approx(wanted, rel=1e-5)
            losses.add(round(float(wanted), 4))
        assert len(losses) == 1


class Counting(SelfAuxHyperModel):
    """Counts the trials, and stops the search in one of them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.count = 0
        self.last = math.inf

    def fit(self, hp, model, *args, **kwargs):
        if self.count == self.last:
            raise KeyboardInterrupt
        self.count += 1
        return super().fit(hp, model, *args, **kwargs)


class TestSearch:
    def make_counting(self):
        return Counting(
            [keras.layers.Dense(4, "relu") for _ in range(2)],
            {task: keras.layers.Dense(1) for task in TASKS},
            "mse",
            input_shape=(None, 3),
            gains=GAINS,
            weightings=["equal", "uncertainty"],
            jit_compile=False,
            run_eagerly=True,
        )

    @pytest.mark.slow
    def test_random_search_goes_on_where_it_was(self, tmp_path):
        def make_tuner():
            return keras_tuner.RandomSearch(
                self.make_counting(),
                "val_loss",
                max_trials=3,
                directory=tmp_path,
                seed=3,
            )

        tuner = make_tuner()
        tuner.hypermodel.last = 2
        with pytest.raises(KeyboardInterrupt):
            search(tuner)
        before = {n: t.score for n, t in tuner.oracle.trials.items() if t.score}
        assert len(before) == 2
        resumed = make_tuner()
        search(resumed)
        assert resumed.hypermodel.count == 1
        found = resumed.oracle.trials
        assert len(found) == 3
        assert before.items() <= {n: t.score for n, t in found.items()}.items()
        for trial in found.values():
            values = trial.hyperparameters.values
            chosen = values["auxiliaries"] == "gains"
            assert ("threshold" in values) == chosen
            learned = values["weighting"] == "uncertainty"
            assert ("uncertainty/learning_rate" in values) == learned
        (model,) = resumed.get_best_models()
        loss = model.evaluate(*make_data(), verbose=0, return_dict=True)["loss"]
        best = resumed.oracle.get_best_trials()[0].score
        assert loss == pytest.approx(best, rel=1e-4)
        search(make_tuner())  # nothing is left to do

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:The optimal value found:UserWarning")
    @pytest.mark.parametrize(
        ("kind", "arguments"),
        [
            (keras_tuner.GridSearch, {"max_trials": 3}),
            (keras_tuner.Hyperband, {"max_epochs": 3, "factor": 2}),
            (
                keras_tuner.BayesianOptimization,
                {"max_trials": 3, "num_initial_points": 2},
            ),
        ],
    )
    def test_other_tuners(self, tmp_path, kind, arguments):
        if kind is keras_tuner.BayesianOptimization:
            pytest.importorskip("sklearn")
        tuner = kind(
            self.make_counting(),
            objective="val_loss",
            directory=tmp_path,
            seed=1,
            **arguments,
        )
        search(tuner)
        trials = tuner.oracle.trials.values()
        assert len(trials) >= 3
        assert {trial.status for trial in trials} == {"COMPLETED"}


@pytest.mark.slow
def test_docstring_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_examples(SelfAuxHyperModel.__doc__)
    source = "".join(example.source for example in examples)
    assert "max_trials=20" in source
    x, y = make_data()
    y = {"seg": y["a"], "depth": y["b"]}
    names = {
        "keras": keras,
        "keras_selfaux": keras_selfaux,
        "keras_tuner": keras_tuner,
        "x": x,
        "y": y,
        "held_out": (x, y),
    }
    exec(source.replace("max_trials=20", "max_trials=1"), names)
    assert names["model"].compiled
