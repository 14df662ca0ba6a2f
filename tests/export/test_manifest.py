"""What `selfaux.json` tells of a servable."""

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest

from keras_selfaux import export
from keras_selfaux.export._warmup import read_warmup
from tests.export.models import (
    TASKS,
    dense_model,
)


def test_tells_what_the_servable_is(written: Any) -> None:
    model, path = written
    found = json.loads((path / "assets.extra/selfaux.json").read_text())
    assert found["format"] == 1
    assert found["model"] == "vectors"
    assert found["tasks"] == TASKS
    edges = [["seg", "depth"], ["depth", "seg"]]
    assert found["graph"] == {"tasks": TASKS, "edges": edges}
    assert found["signatures"]["seg"] == {
        "inputs": {"inputs": {"dtype": "float32", "shape": [None, 4]}},
        "outputs": {"seg": {"dtype": "float32", "shape": [None, 3]}},
    }
    assert found["parameters"] == model.inference_model.count_params()
    logs = model.history.history
    assert found["training"]["epochs"] == 2
    for name in ("loss", "seg_loss", "depth_loss"):
        assert found["training"]["metrics"][name] == logs[name][-1]
    assert found["versions"]["keras"] == keras.__version__
    assert found["metadata"] == {"seed": 3}


def test_of_a_model_that_was_never_trained(tmp_path: pathlib.Path) -> None:
    plain = dense_model().inference_model
    path = export.write_servable(plain, tmp_path)
    found = json.loads((path / "assets.extra/selfaux.json").read_text())
    assert found["graph"] is None
    assert found["training"] is None
    assert not read_warmup(path)


@pytest.mark.parametrize(
    "metadata", [{"a": object()}, {"a": float("nan")}, ["a"]]
)
def test_json_must_hold_metadata(tmp_path: pathlib.Path, metadata: Any) -> None:
    with pytest.raises(ValueError, match="`metadata` must be a dict"):
        export.write_servable(dense_model(), tmp_path, metadata=metadata)


def test_metrics_may_be_arrays(tmp_path: pathlib.Path) -> None:
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2, "softmax")(inputs)
    model = keras.Model(inputs, {"seg": outputs})
    model.compile(
        "sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score()]
    )
    x, y = np.ones((4, 3)), np.eye(2)[[0, 1, 0, 1]]
    model.fit(x, {"seg": y}, verbose=0)
    model.history.history["odd"] = [np.float32("nan")]
    path = export.write_servable(model, tmp_path)
    found = json.loads((path / "assets.extra/selfaux.json").read_text())
    metrics = found["training"]["metrics"]
    assert len(metrics["f1_score"]) == 2
    assert metrics["odd"] is None
