"""Where a `SelfAuxModel` must behave like any Keras model."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest

import keras_selfaux
from keras_selfaux.layers import BranchedEncoder
from keras_selfaux.weightings import AutoLambda, Static
from tests.integration.models import TASKS, compile_model, make_data, make_model


@keras.saving.register_keras_serializable("tests")
class Quiet(keras.layers.Layer):
    """Has a BatchNormalization, and a `call` that knows no `training`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization()

    def build(self, input_shape: Any) -> None:
        self.norm.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.norm(inputs)


@keras.saving.register_keras_serializable("tests")
class SubclassEncoder(keras.Model):
    """Returns the same features for every task."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return dict.fromkeys(TASKS, self.hidden(inputs))


def heads(units: int = 2, **kwargs: Any) -> dict[str, keras.layers.Layer]:
    return {task: keras.layers.Dense(units, **kwargs) for task in TASKS}


def test_training_reaches_layers_whose_parents_do_not_hand_it_on() -> None:
    inputs = keras.Input((4,))
    shared = Quiet()(inputs)
    encoder = keras.Model(
        inputs, {task: keras.layers.Dense(3)(shared) for task in TASKS}
    )
    model = keras_selfaux.SelfAuxModel(encoder, heads(), "none")
    plain = model.inference_model
    x, y = make_data(missing=False)
    for each in (model, plain):
        compile_model(each)
        each.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for value, wanted in zip(
        model.encoder.get_weights(),
        plain.get_weights()[: len(model.encoder.get_weights())],
        strict=True,
    ):
        np.testing.assert_allclose(value, wanted, atol=1e-6)


def masking_model(stack: bool) -> keras_selfaux.SelfAuxModel:
    inputs = keras.Input((5,), dtype="int32")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
    encoder = keras.Model(
        inputs,
        {t: keras.layers.LSTM(3, return_sequences=True)(words) for t in TASKS},
    )
    return keras_selfaux.SelfAuxModel(encoder, heads(1), "none", stack=stack)


@pytest.mark.slow
def test_masked_positions_are_missing_labels() -> None:
    model = masking_model(stack=False)
    plain = model.inference_model
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=(8, 5))
    y = {t: rng.normal(size=(8, 5, 1)).astype("float32") for t in TASKS}
    results = []
    for each in (model, plain):
        compile_model(each, metrics={t: ["mae"] for t in TASKS})
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
        results.append(each.evaluate(x, y, verbose=0, return_dict=True))
    for task in TASKS:
        name = f"{task}_loss"
        assert results[0][name] == pytest.approx(results[1][name], rel=1e-5)


def test_masks_before_stacked_layers_are_refused() -> None:
    model = masking_model(stack=True)
    with pytest.raises(ValueError, match="cannot follow a layer that masks"):
        model(np.ones((2, 5), "int32"))


@pytest.mark.parametrize(
    "optimizer",
    [keras.optimizers.SGD(0.1, clipnorm=1.0), keras.optimizers.Lamb()],
)
def test_optimizers_of_whole_variables_need_looped_layers(
    optimizer: keras.optimizers.Optimizer,
) -> None:
    model = make_model()
    compile_model(model, optimizer)
    with pytest.raises(ValueError, match=r"stacked layers are one variable"):
        model.fit(*make_data(), verbose=0)
    looped = make_model(stack=False)
    compile_model(looped, type(optimizer).from_config(optimizer.get_config()))
    looped.fit(*make_data(), verbose=0)
    assert int(looped.optimizer.iterations) == 1


@pytest.mark.parametrize("update_every", [1, 2])
def test_an_overflow_leaves_the_task_weights_alone(update_every: int) -> None:
    model = make_model()
    compile_model(model, weighting=AutoLambda(update_every=update_every))
    x, y = make_data()
    model.train_on_batch(x, y, meta_data=(x, y))
    before, steps = model.task_weights, model.weighting.optimizer.iterations
    steps = int(steps)
    meta = (x, {task: values * np.float32(1e30) for task, values in y.items()})
    for _ in range(2):
        model.train_on_batch(x, y, meta_data=meta)
    assert model.task_weights == before
    assert int(model.weighting.optimizer.iterations) == steps


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_mixed_precision_trains(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = make_model()
    compile_model(model, "adam", weighting=AutoLambda(0.01))
    history = model.fit(
        *make_data(), epochs=8, verbose=0, meta_data=make_data(30)
    ).history
    for task in TASKS:
        assert history[f"{task}_loss"][-1] < history[f"{task}_loss"][0]
    weights = np.array(list(model.task_weights.values()))
    assert np.isfinite(weights).all()
    assert (weights != weights[0]).any()


def test_one_weighting_may_be_given_to_two_models() -> None:
    weighting = Static({"a": 2.0})
    first, second = make_model(), make_model("none")
    compile_model(first, weighting=weighting)
    compile_model(second, weighting=weighting)
    assert len(first.task_weights) == 9
    assert len(second.task_weights) == 3
    learned = AutoLambda()
    compile_model(first, weighting=learned)
    compile_model(first, weighting=learned)
    assert first.task_weights["a", "b"] == pytest.approx(0.1)


def test_evaluation_leaves_the_clones_penalties_out() -> None:
    encoder = BranchedEncoder([keras.layers.Dense(3)], 0)
    model = keras_selfaux.SelfAuxModel(
        encoder, heads(kernel_regularizer=keras.regularizers.L2(1.0))
    )
    model.build((None, 4))
    plain = model.inference_model
    x, y = make_data(missing=False)
    compile_model(model)
    compile_model(plain)
    ours = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    theirs = plain.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert ours == pytest.approx(theirs, rel=1e-5)
    predictions = model(x)
    computed = float(model.compute_loss(x, y, predictions))
    assert computed == pytest.approx(theirs, rel=1e-5)


def test_class_weight_beside_meta_data_is_refused() -> None:
    model = make_model()
    compile_model(model, weighting="auto_lambda")
    x, y = make_data()
    with pytest.raises(ValueError, match="`class_weight` cannot be used"):
        model.train_on_batch(x, y, class_weight={0: 1.0}, meta_data=(x, y))


def test_metrics_of_one_hot_and_sparse_labels_side_by_side() -> None:
    x = make_data()[0]
    classes = np.arange(len(x)) % 2
    y = {"a": np.eye(2, dtype="int32")[classes], "b": classes, "c": x[:, :2]}
    model = make_model()
    model.compile(
        "sgd",
        loss={
            "a": keras.losses.CategoricalCrossentropy(from_logits=True),
            "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "c": "mse",
        },
        metrics={"a": ["accuracy"], "b": ["accuracy"], "c": ["mae"]},
    )
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    for task in ("a", "b"):
        predicted = model.predict(x, verbose=0)[task].argmax(-1)
        accuracy = (predicted == classes).mean()
        assert found[f"{task}_accuracy"] == pytest.approx(accuracy)


def test_an_encoder_may_be_a_subclass_that_was_called_before() -> None:
    encoder = SubclassEncoder()
    x, y = make_data()
    encoder(x)
    model = keras_selfaux.SelfAuxModel(encoder, heads())
    compile_model(model)
    model.fit(x, y, verbose=0)
    for task, wanted in model.predict(x, verbose=0).items():
        answers = model.inference_model.predict(x, verbose=0)[task]
        np.testing.assert_allclose(answers, wanted, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_weights_of_an_equal_model_start_an_auto_lambda_model(
    tmp_path: pathlib.Path,
) -> None:
    equal, learned = make_model(), make_model()
    compile_model(equal)
    compile_model(learned, weighting="auto_lambda")
    equal.save_weights(tmp_path / "model.weights.h5")
    with pytest.warns(UserWarning, match="no state of 'auto_lambda'"):
        learned.load_weights(tmp_path / "model.weights.h5")
    assert learned.task_weights["a", "b"] == pytest.approx(0.1)
    x = make_data()[0]
    for task, wanted in equal.predict(x, verbose=0).items():
        answers = learned.predict(x, verbose=0)[task]
        np.testing.assert_array_equal(answers, wanted)


def test_auto_lambda_needs_one_learning_rate() -> None:
    model = make_model()
    sgd = keras.optimizers.SGD(0.1)
    optimizer = keras.optimizers.MultiOptimizer(lambda variable: sgd)
    compile_model(model, optimizer, weighting="auto_lambda")
    with pytest.raises(ValueError, match="needs one learning rate"):
        model.fit(*make_data(), verbose=0, meta_data=make_data())


def test_a_head_that_cannot_be_copied_is_named() -> None:
    encoder = BranchedEncoder([keras.layers.Dense(3)], 0)
    model = keras_selfaux.SelfAuxModel(
        encoder, heads(activation=lambda values: 2 * values)
    )
    with pytest.raises(ValueError, match="'a' cannot be copied by its config"):
        model.build((None, 4))


def test_lists_of_results_are_ordered_as_in_keras() -> None:
    model = make_model()
    compile_model(model, metrics=["mae"])
    data = make_data()
    named = model.evaluate(*data, verbose=0, return_dict=True)
    listed = model.evaluate(*data, verbose=0)
    names = ["loss", "a_loss", "b_loss", "c_loss", "a_mae", "b_mae", "c_mae"]
    assert listed == pytest.approx([named[name] for name in names])


def test_metrics_may_be_a_list_per_task() -> None:
    model = make_model()
    compile_model(model, metrics=[["mae"], ["mse"], []])
    found = model.evaluate(*make_data(), verbose=0, return_dict=True)
    assert {"a_mae", "b_mse"} <= found.keys()
    assert "c_mae" not in found
