import keras
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux.discovery._data import for_tasks, training_batches
from keras_selfaux.discovery._forest import looped_parts, obstacle, plant
from tests.discovery.networks import (
    TASKS,
    build_model,
    build_plain,
    make_data,
)

SETS = [["a"], ["c", "a"], ["a", "b", "c"]]


def build_all(make_settings=dict):
    networks = []
    for seed, tasks in enumerate(SETS):
        keras.utils.set_random_seed(seed % 2)
        networks.append(build_model(tasks, **make_settings()))
        networks[-1].build((None, 4))
    return networks


def with_normalization():
    stages = [
        keras.Sequential(
            [keras.layers.Dense(6, "relu"), keras.layers.BatchNormalization()]
        )
        for _ in range(2)
    ]
    return {"stages": [*stages, keras.layers.Dense(5, "tanh")]}


def looped():
    # Squeezing out no axis is a layer that the stack does not know.
    layers = [keras.layers.Dense(6), keras.layers.LayerNormalization(axis=[1])]
    return {"stages": layers, "optimizer": keras.optimizers.RMSprop(0.01)}


def with_schedule():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5)
    return {"optimizer": keras.optimizers.AdamW(schedule)}


def regularized():
    layers = [keras.layers.Dense(6, kernel_regularizer="l2") for _ in range(2)]
    return {"stages": layers}


FAST = {
    "half_shared": lambda: {
        "metrics": ["mae", keras.metrics.MeanSquaredError()]
    },
}
SLOW = {
    "nothing_shared": lambda: {"paths": 0},
    "all_shared": lambda: {"paths": 2},
    "momentum": lambda: {"optimizer": keras.optimizers.SGD(0.05, 0.9)},
    "schedule": with_schedule,
    "batch_normalization": with_normalization,
    "regularized": regularized,
    "looped": looped,
}


def paths(tasks):
    """The second stage of "a" is apart, and numbers have gaps."""
    return {task: [0, 3 if task == "a" else 1] for task in tasks}


def fit(model, tasks):
    batches = training_batches(make_data(), batch_size=8, epochs=3)
    dataset = batches.dataset
    if tasks is not None:
        dataset = for_tasks(dataset, TASKS, tasks)
    x, y = make_data(9, seed=1)
    chosen = {task: y[task] for task in tasks or TASKS}
    history = model.fit(
        dataset,
        steps_per_epoch=batches.steps,
        epochs=3,
        validation_data=(x, chosen),
        verbose=0,
    )
    return history.history


@pytest.mark.parametrize(
    "make_settings",
    [
        *(pytest.param(make, id=name) for name, make in FAST.items()),
        *(
            pytest.param(make, id=name, marks=pytest.mark.slow)
            for name, make in SLOW.items()
        ),
    ],
)
def test_a_forest_trains_like_its_networks_apart(make_settings):
    networks = build_all(make_settings)
    forest = plant(networks, TASKS)
    together = fit(forest, None)
    for network, tasks, tree in zip(networks, SETS, forest.trees, strict=True):
        apart = fit(network, tasks)
        for task in tasks:
            leaf = tree.leaves[task]
            np.testing.assert_allclose(
                together[f"val_{leaf}_loss"],
                apart[f"val_{task}_loss"],
                rtol=2e-5,
            )
            np.testing.assert_allclose(
                forest.head_bank.edge_weights((leaf, leaf))[0],
                network.head_bank.edge_weights((task, task))[0],
                rtol=1e-4,
                atol=1e-6,
            )
            for name in set(apart) & {f"val_{task}_mae"}:
                np.testing.assert_allclose(
                    together[f"val_{leaf}_mae"], apart[name], rtol=2e-5
                )


def test_paths_by_table():
    networks = []
    for tasks in SETS:
        networks.append(build_model(tasks, paths=paths(tasks)))
        networks[-1].build((None, 4))
    forest = plant(networks, TASKS)
    x, _ = make_data()
    together = forest.predict(x, verbose=0)
    for network, tree in zip(networks, forest.trees, strict=True):
        for task, predicted in network.predict(x, verbose=0).items():
            np.testing.assert_allclose(
                together[tree.leaves[task]], predicted, rtol=1e-5, atol=1e-6
            )


def test_loss_weights_and_metrics_go_with_their_task():
    networks = [
        build_model(
            ["a", "b"],
            loss={"a": "mse", "b": keras.losses.Huber(0.1)},
            loss_weights={"b": 3.0},
            metrics={"b": ["mae"]},
        )
    ]
    networks[0].build((None, 4))
    forest = plant(networks, TASKS)
    (tree,) = forest.trees
    assert tree.loss_weights == {"a": 1.0, "b": 3.0}
    x, y = make_data()
    found = forest.evaluate(x, y, verbose=0, return_dict=True)
    chosen = {task: y[task] for task in "ab"}
    wanted = networks[0].evaluate(x, chosen, verbose=0, return_dict=True)
    assert set(found) == {"loss", *(f"0.{k}" for k in wanted if k != "loss")}
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    for name in ("a_loss", "b_loss", "b_mae"):
        assert found[f"0.{name}"] == pytest.approx(wanted[name], rel=1e-5)


@pytest.mark.parametrize("form", ["axis", "single"])
def test_takes_labels_in_every_form(form):
    networks = build_all()
    forest = plant(networks, TASKS)
    x, y = make_data()
    y["a"] = np.nan_to_num(y["a"])
    if form == "axis":
        y = np.stack([y[task] for task in TASKS], axis=1)
    else:
        owner = np.arange(len(x)) % 3
        labels = np.stack([y[TASKS[o]][i] for i, o in enumerate(owner)])
        y = keras_selfaux.SingleTaskLabels(labels, owner)
    logs = forest.train_on_batch(x, y, return_dict=True)
    network, tree = networks[1], forest.trees[1]  # of "c" and "a"
    if form == "axis":
        y = {"c": y[:, 2], "a": y[:, 0]}
    else:
        y = keras_selfaux.SingleTaskLabels(labels, np.array([1, -1, 0])[owner])
    wanted = network.train_on_batch(x, y, return_dict=True)
    for task, leaf in tree.leaves.items():
        assert logs[f"{leaf}_loss"] == pytest.approx(
            wanted[f"{task}_loss"], rel=1e-5
        )


def compiled(**settings):
    model = build_model(["a", "b"], **settings)
    model.build((None, 4))
    return model


def frozen():
    model = compiled()
    model.encoder.trainable = False
    return model


def of_other_dtype():
    model = compiled()
    model.encoder.dtype_policy = "bfloat16"
    return model


def of_own_kind():
    class Tuned(keras_selfaux.SelfAuxModel):
        pass

    encoder = keras_selfaux.layers.BranchedEncoder(
        [keras.layers.Dense(3)], paths=0
    )
    model = Tuned(encoder, {"a": keras.layers.Dense(2)}, "none")
    model.compile(loss="mse")
    return model


def without_decay():
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return compiled(optimizer=optimizer)


class TestObstacles:
    def test_a_plain_sum_of_losses_has_none(self):
        assert obstacle(compiled()) is None

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (
                lambda: build_plain(["a"]),
                "a Functional, which is not a SelfAux",
            ),
            (lambda: compiled(weighting="dwa"), "a weighting or an aggregator"),
            (lambda: compiled(aggregator="pcgrad"), "a weighting or an aggr"),
            (frozen, "frozen layers"),
            (of_other_dtype, "a dtype policy that is not the global one"),
            (of_own_kind, "a Tuned, which is not a SelfAuxModel"),
            (without_decay, "variables excluded from weight decay"),
            (
                lambda: compiled(optimizer=keras.optimizers.Lamb()),
                "Lamb, which may not treat",
            ),
            (
                lambda: compiled(optimizer=keras.optimizers.SGD(clipnorm=1.0)),
                "gradients clipped by norm",
            ),
            (
                lambda: compiled(
                    optimizer=keras.optimizers.SGD(global_clipnorm=1.0)
                ),
                "gradients clipped by norm",
            ),
        ],
    )
    def test_reason(self, make, reason):
        assert reason in obstacle(make())

    def test_clones_and_other_encoders(self):
        encoder = keras_selfaux.layers.BranchedEncoder(
            [keras.layers.Dense(3)], paths=0
        )
        heads = {task: keras.layers.Dense(2) for task in "ab"}
        model = keras_selfaux.SelfAuxModel(encoder, heads, "all")
        model.compile(loss="mse")
        assert obstacle(model) == "self-auxiliaries"
        inputs = keras.Input((4,))
        encoder = keras.Model(inputs, {"a": inputs, "b": inputs})
        model = keras_selfaux.SelfAuxModel(encoder, heads, "none")
        model.compile(loss="mse")
        assert "encoder of type Functional" in obstacle(model)

    def test_networks_must_be_alike(self):
        networks = [compiled(), compiled(optimizer="sgd")]
        with pytest.raises(
            ValueError, match=r"networks that differ in more than tasks"
        ):
            plant(networks, TASKS)

    def test_parts_that_loop_are_named(self):
        assert looped_parts(compiled()) == []
        stages = [keras.layers.Conv1D(3, 3), keras.layers.Flatten()]
        model = build_model(["a", "b"], stages=stages, paths=0)
        model.build((None, 4, 2))
        assert any("Conv1D, looped" in part for part in looped_parts(model))
