"""The model that is kept in the repository is what it says it is."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from examples import robot_arm
from keras_selfaux import export
from keras_selfaux.datasets import load_robot_arm

PATH = pathlib.Path(__file__).parents[2] / "saved_models/robot_arm/1"
NOTES = json.loads((PATH / "assets.extra/selfaux.json").read_text("utf-8"))


def test_it_has_the_errors_that_are_recorded(data_dir: str) -> None:
    settings = NOTES["metadata"]["settings"]
    data = load_robot_arm(
        settings["num_tasks"], settings["train_per_task"], data_dir=data_dir
    )
    x, y = data["test"]
    # Held on to, since signatures do not keep their model alive.
    loaded = tf.saved_model.load(str(PATH))
    answers = loaded.signatures["serving_default"](inputs=tf.constant(x))
    scores = NOTES["metadata"]["scores"]
    assert {*answers} == {*y} == {*scores}
    for task, labels in y.items():
        # Of other arms' samples there are no labels.
        error = np.sqrt(np.nanmean((answers[task].numpy() - labels) ** 2))
        assert error == pytest.approx(scores[task]["rmse"], rel=1e-4)
    assert NOTES["metadata"]["method"] == "saal_w"


def test_it_was_made_by_the_demo() -> None:
    settings = NOTES["metadata"]["settings"]
    assert settings["demo"]
    assert settings["output_dir"] == "results/robot_arm"
    assert settings["export_dir"] == "saved_models/robot_arm"
    for name, value in robot_arm.Config.DEMO.items():
        assert settings[name] == json.loads(json.dumps(value))
    assert NOTES["metadata"]["seed"] in settings["seeds"]


def test_it_is_fine() -> None:
    report = export.verify_servable(PATH)
    assert report.warmup_requests == 12
    assert report.parameters == NOTES["parameters"]
