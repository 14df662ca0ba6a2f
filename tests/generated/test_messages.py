"""Bad inputs that were once found by chance, each with what it is told."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_selfaux
from examples import _runs
from keras_selfaux import aggregators, discovery, export, metrics, weightings
from keras_selfaux._compile import optimizer_of
from keras_selfaux._random import load_seeds
from keras_selfaux.discovery import enumerate_transfer
from keras_selfaux.export._inputs import as_batch
from keras_selfaux.export._signatures import as_signatures
from keras_selfaux.layers import BranchedEncoder, HeadBank
from keras_selfaux.layers._paths import path_table
from keras_selfaux.metrics import delta_m
from tests.integration.models import TASKS, compile_model, make_data, make_model

SCORES = {"a": {"mae": 1.0}}
SPEC = tf.TensorSpec((None, 2), tf.float32, "inputs")
COMPLEX = tf.TensorSpec((None, 2), tf.complex64, "inputs")


def _model(**arguments: Any) -> Any:
    model = make_model("none")
    compile_model(model, run_eagerly=True, **arguments)
    return model


def _train(change: Callable[[Any], Any], **arguments: Any) -> Any:
    x, y = make_data(4)
    return _model(**arguments).train_on_batch(x, {**y, "b": change(y["b"])})


def _single(labels: Any, task: Any, weight: Any = None) -> Any:
    y = keras_selfaux.SingleTaskLabels(labels, task)
    return _model().train_on_batch(make_data(4)[0], y, sample_weight=weight)


def _unfit_labels(labels: list[Any]) -> Any:
    data = (np.ones((4, 4)), labels)
    return enumerate_transfer(len, ["a", "b"], data, data, epochs=1)


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "a graph of no config": (
        lambda: keras_selfaux.TransferGraph.from_config({"tasks": ["a"]}),
        r"described by `tasks` and `edges`. Received: \['tasks'\]",
    ),
    "gains in rows of unequal length": (
        lambda: keras_selfaux.TransferGraph.from_matrix("ab", [[1], [1, 2]]),
        "`tasks` must be a list",
    ),
    "gains of text": (
        lambda: keras_selfaux.TransferGraph.from_matrix(["a"], [["x"]]),
        "`gains` must be an array of numbers",
    ),
    "a threshold of text": (
        lambda: keras_selfaux.TransferGraph.from_matrix(["a"], [[1]], "x"),
        "`threshold` must be a number. Received: threshold='x'",
    ),
    "a loss that is infinite as a weight": (
        lambda: weightings.AutoLambda(learning_rate=float("inf")),
        "`learning_rate` must be a positive number",
    ),
    "weights that are no dict": (
        lambda: weightings.Static(3),
        "`weights` of `Static` must be a dict by task",
    ),
    "weights under a number": (
        lambda: weightings.Static({(1, 2): 0.5}),
        "`weights` of `Static` must be a dict by task",
    ),
    "a config with more than there is": (
        lambda: aggregators.get({"class_name": "MGDA", "config": {"no": 1}}),
        "`aggregator` is a config dict that nothing can be made of",
    ),
    "a Gramian of text": (
        lambda: aggregators.MGDA().weights("ab"),
        "`gramian` must be an array of numbers",
    ),
    "scores that are no dict": (
        lambda: delta_m([1.0], SCORES),
        r"`results` must be \{task: \{metric: value\}\}. Received: results=",
    ),
    "a score that is no number": (
        lambda: delta_m({"a": {"mae": "1"}}, SCORES),
        "`results` must have a number for metric 'mae' of task 'a'",
    ),
    "directions that are no dict": (
        lambda: delta_m(SCORES, SCORES, ["mae"]),
        "`higher_is_better` must be a dict by metric or task",
    ),
    "a direction that is a number": (
        lambda: metrics.task_changes(SCORES, SCORES, {"mae": 1}),
        "`higher_is_better` must be True or False under 'mae'",
    ),
    "tasks of an encoder that are a number": (
        lambda: path_table("half", 5, 2),
        "`tasks` must name tasks, each once. Received: 5",
    ),
    "paths under a number": (
        lambda: path_table({1: [0, 0]}, None, 2),
        "`paths` must name tasks, each once",
    ),
    "a config without stages": (
        lambda: BranchedEncoder.from_config({}),
        "No BranchedEncoder can be made of this config. Received: KeyError",
    ),
    "a graph that is an integer": (
        lambda: HeadBank({"a": keras.layers.Dense(1)}, 3),
        "`graph` must be a TransferGraph. Received: graph=3",
    ),
    "a stack that is a text": (
        lambda: HeadBank({"a": keras.layers.Dense(1)}, stack="no"),
        r"`stack` must be one of \[True, False\]. Received: stack='no'",
    ),
    "loss weights that are a text": (
        lambda: _model(loss_weights="abc"),
        "`loss_weights` must be given for all tasks at once, or by task",
    ),
    "a metric that is an array": (
        lambda: _model(metrics=np.ones(2)),
        r"A metric of task 'a' cannot be used: array.*Pass a Keras metric",
    ),
    "a loss that is an object": (
        lambda: make_model().compile(loss=object()),
        "`loss` of task 'a' cannot be used",
    ),
    "an optimizer without a class": (
        lambda: optimizer_of({}),
        "`optimizer` must be a Keras optimizer, its name or its config",
    ),
    "too few labels": (
        lambda: _train(lambda y: y[:1]),
        "Task 'b' must have a label for every sample. Received: 1 for 4",
    ),
    "labels of another width": (
        lambda: _train(lambda y: np.ones((4, 3))),
        r"loss of task 'b' cannot compare labels with predictions. "
        r"Received: labels of shape \(4, 3\)",
    ),
    "labels of text": (
        lambda: _train(lambda y: np.array(["a"] * 4)),
        r"`y\['b'\]` must be an array of numbers. Received: string",
    ),
    "labels of complex numbers": (
        lambda: _train(lambda y: np.full((4, 2), 1j)),
        r"`y\['b'\]` must be an array of numbers. Received: complex128",
    ),
    "no labels": (
        lambda: _train(lambda y: None),
        "`y` must have labels of task 'b'. Received: None",
    ),
    "a metric that fails": (
        lambda: _train(lambda y: y, metrics={"b": [len]}),
        "Metric 'len' of task 'b' cannot be computed of its labels",
    ),
    "labels of fewer samples than numbers of tasks": (
        lambda: _single(np.ones((3, 2)), np.arange(4)),
        r"`SingleTaskLabels.labels` must have one entry per sample",
    ),
    "tasks by fractions": (
        lambda: _single(np.ones((4, 2)), np.ones(4)),
        r"`SingleTaskLabels.task` must hold integers.*Received: float64",
    ),
    "weights of fewer samples than numbers of tasks": (
        lambda: _single(np.ones((4, 2)), np.arange(4), np.ones(3)),
        "`sample_weight` must have one entry per sample",
    ),
    "inputs that would fill fewer samples": (
        lambda: _model().predict(np.ones((4, 3)), verbose=0),
        r"cannot take inputs of another shape.*inputs of shape \(.*, 3\)",
    ),
    "meta data of nothing": (
        lambda: _model(weighting="auto_lambda").fit(
            *make_data(4), meta_data=(None, None), verbose=0
        ),
        "`meta_data` cannot be read as data",
    ),
    "no state of generators": (
        lambda: load_seeds("model", [np.zeros(2)], {"seed_1": 0}),
        r"has no state of the random generators of 'model'. "
        r"Received: \['seed_1'\]",
    ),
    "runs that are none": (
        lambda: discovery.TransferGains(["a"], [[0.0]], runs=["a/seed_0"]),
        "`runs` must be a list of `Run`s",
    ),
    "labels of one task too few": (
        lambda: _unfit_labels([np.ones(4)]),
        "labels of `train_data` must be one array per task.*1 arrays",
    ),
    "a name of bytes": (
        lambda: export.TFExamples(b"x"),
        "`name` of a signature must be a string. Received: name=b'x'",
    ),
    "signatures that are a number": (
        lambda: as_signatures(3),
        "`signatures` must be a list. Received: signatures=3",
    ),
    "a function that is none": (
        lambda: export.ImageBytes(preprocess=3),
        "`preprocess` must be a function of images",
    ),
    "examples of text": (
        lambda: as_batch(np.array([["a", "b"]]), SPEC),
        "`examples` of input 'inputs' must be an array of float32",
    ),
    "messages of complex numbers": (
        lambda: export.TFExamples().endpoint(None, COMPLEX),
        "is for numbers and strings. Received: the input 'inputs' of complex",
    ),
}


@pytest.mark.parametrize(("call", "message"), CASES.values(), ids=[*CASES])
def test_message(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def test_weights_of_another_model(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.weights.h5"
    other = keras_selfaux.SelfAuxModel(
        BranchedEncoder([keras.layers.Dense(3)], 1),
        {task: keras.layers.Dense(2) for task in TASKS},
    )
    other.build((None, 4))
    other.save_weights(path)
    message = rf"'{path}' does not hold the weights of this model"
    with pytest.raises(ValueError, match=message):
        make_model().load_weights(path)
    with pytest.raises(FileNotFoundError, match=r"none\.weights\.h5"):
        make_model().load_weights(tmp_path / "none.weights.h5")


def test_a_graph_that_calls_what_is_not_there(tmp_path: pathlib.Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel()
    graph = saved_model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    node = graph.graph_def.node.add(name="call", op="PartitionedCall")
    node.attr["f"].func.name = "nothing"
    output = graph.signature_def["serving_default"].outputs["a"]
    output.name = "call:0"
    output.dtype = tf.float32.as_datatype_enum
    (tmp_path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    message = rf"graph of the servable '{tmp_path}' is damaged. Received: KeyE"
    with pytest.raises(ValueError, match=message):
        export.verify_servable(tmp_path)


def test_results_of_something_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mtl_0.json"
    path.write_text(json.dumps({"scores": {"a": 3}}))
    with pytest.raises(ValueError, match="not what a run has written"):
        _runs.read_result(path)


def test_numbers_that_are_whole() -> None:
    """Keras's optimizers want floats; a user may well pass 1."""
    for name in ("auto_lambda", "famo", "grad_norm", "uncertainty"):
        made = type(weightings.get(name))(learning_rate=1)
        assert float(made.optimizer.learning_rate) == 1.0


def test_infinite_results_have_a_change() -> None:
    ones = {task: {"mae": 1.0} for task in "ab"}
    diverged = {"a": {"mae": float("inf")}, "b": {"mae": 1.0}}
    assert delta_m(diverged, ones) == -np.inf
    both = {**diverged, "b": {"mae": -np.inf}}
    assert np.isnan(delta_m(both, ones))
