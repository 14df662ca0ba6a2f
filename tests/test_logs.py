"""Logs come back from one tensor as they went in."""

import keras
import numpy as np
import tensorflow as tf

from keras_selfaux._logs import PackedLogs
from tests.integration.models import compile_model, make_data, make_model


def test_logs_of_all_kinds_come_back_in_order() -> None:
    packed = PackedLogs()

    @tf.function
    def step() -> object:
        logs = {
            "z": tf.constant(1.5),
            "vector": tf.constant([1.0, 2.0]),
            "count": tf.constant(3),
            "a": tf.constant(2.5),
        }
        return packed.pack(logs)

    vector, others = step()
    np.testing.assert_array_equal(vector, [1.5, 2.5])
    assert set(others) == {"vector", "count"}
    logs = packed.unpack((vector, others))
    assert list(logs) == ["z", "vector", "count", "a"]
    assert [float(logs["z"]), int(logs["count"]), float(logs["a"])] == [
        1.5,
        3,
        2.5,
    ]
    np.testing.assert_array_equal(logs["vector"], [1.0, 2.0])


def test_logs_without_scalars() -> None:
    packed = PackedLogs()
    logs = {"vector": tf.constant([1.0, 2.0])}
    assert packed.unpack(packed.pack(logs)) == logs
    assert packed.unpack(packed.pack({})) == {}
    assert packed.unpack(packed.pack(3)) == 3


def test_a_step_has_few_results_however_many_logs() -> None:
    model = make_model()
    compile_model(model, metrics=["mae", "mse"])
    x, y = make_data()
    logs = model.train_on_batch(x, y, return_dict=True)
    names = {
        "loss",
        *(f"{task}_loss" for task in "abc"),
        *(f"{task}_{metric}" for task in "abc" for metric in ("mae", "mse")),
    }
    assert set(logs) == names
    assert set(model.evaluate(x, y, return_dict=True, verbose=0)) == names

    @keras.saving.register_keras_serializable("tests")
    class Extra(type(model)):  # type: ignore[misc]
        def test_step(self, data: object) -> object:
            return {**super().test_step(data), "extra": tf.constant([1.0, 2.0])}

    model = Extra.from_config(model.get_config())
    compile_model(model)
    found = model.test_on_batch(x, y, return_dict=True)
    np.testing.assert_array_equal(found["extra"], [1.0, 2.0])
