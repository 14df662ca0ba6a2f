"""Bad input to the model: each case has a message that names the remedy."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest

import keras_selfaux
from tests.integration.models import TASKS, compile_model, make_data, make_model
from tests.replicas import two_replicas


def encoder_of(shapes: dict[str, int]) -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(
        inputs, {t: keras.layers.Dense(n)(inputs) for t, n in shapes.items()}
    )


def heads_of(*tasks: str) -> dict[str, keras.layers.Layer]:
    return {task: keras.layers.Dense(1) for task in tasks}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (lambda: (encoder_of({"a": 3, "b": 3}), heads_of("a", "c"))),
            r"`encoder` must have one entry per task.*missing: \['c'\]",
        ),
        (
            (lambda: (encoder_of({"a": 3}), [keras.layers.Dense(1)])),
            r"`heads` must be a dict",
        ),
        (
            (
                lambda: (
                    encoder_of({"a": 3, "b": 3}),
                    heads_of("a", "b"),
                    "most",
                )
            ),
            r'`auxiliaries` must be "all", "none"',
        ),
        (
            (
                lambda: (
                    encoder_of({"a": 3, "b": 3}),
                    heads_of("a", "b"),
                    [("a", "x")],
                )
            ),
            r"names the unknown task 'x'",
        ),
        (
            (lambda: ("resnet", heads_of("a", "b"))),
            r"`encoder` must be a Keras layer or model",
        ),
        (
            (
                lambda: (
                    encoder_of({"a": 3, "b": 3}),
                    heads_of("a", "b"),
                    keras_selfaux.TransferGraph(["a", "c"]),
                )
            ),
            r"`heads` must have one entry per task",
        ),
    ],
)
def test_a_model_that_does_not_fit_together(
    arguments: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        keras_selfaux.SelfAuxModel(*arguments())


def test_an_encoder_without_dict_output() -> None:
    inputs = keras.Input((4,))
    encoder = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    with pytest.raises(ValueError, match="must return a dict"):
        keras_selfaux.SelfAuxModel(encoder, heads_of("a", "b"))


def test_an_edge_that_cannot_be_wired_names_edge_and_shapes() -> None:
    inputs = keras.Input((4, 4, 3))
    encoder = keras.Model(
        inputs,
        {
            "a": keras.layers.Conv2D(2, 3, padding="same")(inputs),
            "b": keras.layers.Conv2D(2, 3, strides=2, padding="same")(inputs),
        },
    )
    heads = {t: keras.layers.Conv2D(1, 1) for t in ("a", "b")}
    message = (
        r"Self-auxiliary 'a' -> 'b' cannot be wired.*\(None, 4, 4, 2\)"
        r".*features of 'b' with shape \(None, 2, 2, 2\)"
    )
    with pytest.raises(ValueError, match=message):
        keras_selfaux.SelfAuxModel(encoder, heads, [("a", "b")])
    # Without the edge the different shapes are nobody's concern.
    keras_selfaux.SelfAuxModel(encoder, heads, "none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`loss` is missing"),
        ({"loss": {"a": "mse"}}, r"`loss` must have one entry per task"),
        ({"loss": "no_such"}, "`loss` of task 'a' cannot be used"),
        (
            {"loss": "mse", "loss_weights": {"d": 1.0}},
            r"`loss_weights` names tasks that the model does not have",
        ),
        (
            {"loss": "mse", "metrics": {"d": ["mae"]}},
            r"`metrics` names tasks that the model does not have",
        ),
        (
            {"loss": "mse", "weighting": "no_such"},
            r"`weighting` must be a known name.*auto_lambda",
        ),
    ],
)
def test_a_bad_argument_of_compile(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model().compile("sgd", **arguments)


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_auto_lambda_without_meta_data(method: str) -> None:
    model = make_model()
    compile_model(model, weighting="auto_lambda")
    with pytest.raises(ValueError, match="'auto_lambda' needs `meta_data`"):
        getattr(model, method)(*make_data())


def test_meta_data_of_no_known_kind() -> None:
    model = make_model()
    compile_model(model, weighting="auto_lambda")
    with pytest.raises(ValueError, match=r"`meta_data` must be a tf.data"):
        model.fit(*make_data(), meta_data=np.ones((3, 4)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: {"a": y["a"]}, r"`y` must have one entry per task"),
        (lambda y: y["a"], r"Labels `y` must be a dict"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, message: str) -> None:
    model = make_model()
    compile_model(model, run_eagerly=True)
    x, y = make_data()
    with pytest.raises(ValueError, match=message):
        model.fit(x, labels(y), verbose=0)


def test_sample_weights_of_an_unknown_task() -> None:
    model = make_model()
    compile_model(model, run_eagerly=True)
    x, y = make_data()
    data = (x, y, {"d": np.ones(len(x))})
    with pytest.raises(ValueError, match="`sample_weight` names tasks"):
        model.train_on_batch(*data)


def test_exports_are_never_overwritten(tmp_path: pathlib.Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        make_model().export(tmp_path / "1")


def test_a_model_without_weights_has_no_inference_model() -> None:
    encoder = keras_selfaux.layers.BranchedEncoder([keras.layers.Dense(2)])
    model = keras_selfaux.SelfAuxModel(encoder, heads_of(*TASKS))
    with pytest.raises(ValueError, match="has no inference model"):
        _ = model.inference_model


def test_task_weights_before_compile() -> None:
    with pytest.raises(ValueError, match="compile"):
        _ = make_model().task_weights


def test_resizing_without_a_forward_derivative_is_refused() -> None:
    """Its tangents end without a word, and ω would never move."""
    head = keras.Sequential(
        [
            keras.layers.Conv2D(2, 1),
            keras.layers.UpSampling2D(2, interpolation="bilinear"),
        ]
    )
    model = keras_selfaux.SelfAuxModel(
        keras_selfaux.layers.BranchedEncoder([keras.layers.Conv2D(3, 1)]),
        {"a": head, "b": head},
    )
    x = np.ones((2, 3, 3, 1), "float32")
    y = dict.fromkeys("ab", np.ones((2, 6, 6, 2), "float32"))
    model.compile("sgd", loss="mse", weighting="auto_lambda")
    with pytest.raises(ValueError, match=r"ResizeBilinear .*BilinearUpsamp"):
        model.fit(x, y, meta_data=(x, y), verbose=0)
    model.compile("sgd", loss="mse")
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


def test_an_encoder_made_outside_of_the_scope() -> None:
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3, name="trunk")(inputs)
    encoder = keras.Model(inputs, {"a": features, "b": features})
    with two_replicas().scope():
        heads = {task: keras.layers.Dense(1) for task in ("a", "b")}
        model = keras_selfaux.SelfAuxModel(encoder, heads)
        model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"2 variables made elsewhere.*trunk/"):
        model.fit(np.ones((4, 4)), {t: np.ones((4, 1)) for t in heads})
