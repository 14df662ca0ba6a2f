"""The metrics of dense prediction against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.dense import make_labels, make_predictions
from tests.metrics.dense_cases import OURS, tolerance, wanted_result

BATCHES = (slice(0, 1), slice(1, 5), slice(5, 7))  # the first without labels
COUNT = 7
NAMES = pytest.mark.parametrize("name", OURS)


def data_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    task = OURS[name][0]
    return make_labels(COUNT)[task], make_predictions(COUNT)[task]


@NAMES
def test_batches_are_pooled(name: str) -> None:
    y, p = data_of(name)
    metric = OURS[name][1]()
    assert metric.name == name
    for batch in BATCHES:
        metric.update_state(y[batch], p[batch])
    wanted = pytest.approx(wanted_result(name, y, p), **tolerance(name))
    assert float(metric.result()) == wanted
    assert metric.result().dtype == "float32"
    metric.reset_state()
    assert float(metric.result()) == 0.0


@NAMES
@pytest.mark.parametrize("form", ["sample", "pixel", "pixel with an axis"])
def test_weights(name: str, form: str) -> None:
    y, p = data_of(name)
    rng = np.random.default_rng(3)
    shape = (COUNT, 1, 1) if form == "sample" else y.shape[:3]
    w = (rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.7)).astype("f")
    given = {"sample": w.reshape(-1), "pixel": w}.get(form, w[..., None])
    p = np.where(w[..., None] == 0, np.nan, p)  # of no account
    metric = OURS[name][1]()
    for batch in BATCHES:
        metric.update_state(y[batch], p[batch], given[batch])
    wanted = wanted_result(name, y, np.nan_to_num(p, nan=1.0), w)
    assert float(metric.result()) == pytest.approx(wanted, **tolerance(name))


@NAMES
def test_nothing_present_gives_zero(name: str) -> None:
    y, p = data_of(name)
    metric = OURS[name][1]()
    metric.update_state(y[:1], p[:1])
    metric.update_state(y[1:], p[1:], np.zeros(COUNT - 1))
    assert float(metric.result()) == 0.0


@NAMES
@pytest.mark.parametrize(
    "jit", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_compiled_updates_and_results(name: str, jit: bool) -> None:
    y, p = data_of(name)
    metric = OURS[name][1]()
    shapes = [tf.TensorSpec((None, *v.shape[1:]), v.dtype) for v in (y, p)]

    @tf.function(jit_compile=jit, input_signature=shapes)
    def update(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        metric.update_state(y, p)
        return metric.result()

    for batch in BATCHES:
        found = update(y[batch], p[batch])
    wanted = pytest.approx(wanted_result(name, y, p), **tolerance(name))
    assert float(found) == wanted


@NAMES
def test_config_makes_the_same_metric(name: str) -> None:
    y, p = data_of(name)
    metric = OURS[name][1]()
    config = keras.metrics.serialize(metric)
    assert config["registered_name"].startswith("keras_selfaux>")
    again = keras.metrics.deserialize(config)
    assert again.get_config() == metric.get_config()
    for each in (metric, again):
        each.update_state(y, p)
    assert float(again.result()) == float(metric.result()) != 0.0
