"""Versions that come and go while requests run."""

import re

import keras
import numpy as np
import pytest

from examples.serving._clients._serving_error import ServingError
from examples.serving._server import _servable
from keras_selfaux import export
from tests.examples.serving.models import Served, warm_up_record
from tests.examples.serving.running import (
    X,
    answer,
    asking,
    config_text,
    connect,
    is_from_2,
    place,
    start,
    states,
    wait_until,
)


@pytest.fixture
def base_path(tmp_path):
    return tmp_path / "arms"


def test_a_new_version_is_taken_up(base_path, version_1, version_2):
    place(version_1, base_path, 1)
    with start(model_name="arms", model_base_path=base_path) as server:
        assert not is_from_2(server)
        with asking(server):
            place(version_2, base_path, 2)
            wait_until(lambda: states(server).get(1) == "END")
        assert states(server) == {2: "AVAILABLE", 1: "END"}
        assert is_from_2(server)
        with pytest.raises(ServingError, match=r"Specific\(arms, 1\)"):
            answer(server, version=1)


def test_folders_without_a_number_are_none(base_path, version_1):
    place(version_1, base_path, 1)
    for name in ("2.old", "v3", "-4", "²"):
        (base_path / name).mkdir()
    (base_path / "5").write_text("a file")
    with start(model_name="arms", model_base_path=base_path) as server:
        assert states(server) == {1: "AVAILABLE"}


def test_a_broken_version_leaves_the_old_one(base_path, version_1, version_2):
    place(version_1, base_path, 1)
    with start(model_name="arms", model_base_path=base_path) as server:
        with asking(server):
            place(version_2, base_path, 2)
            wait_until(lambda: states(server).get(2) == "AVAILABLE")
            place(version_1, base_path, 3)
            wait_until(lambda: states(server).get(3) == "AVAILABLE")
            (base_path / "4").mkdir()
            (base_path / "4" / "saved_model.pb").write_bytes(b"broken")
            wait_until(lambda: states(server).get(4) == "END")
        assert states(server)[3] == "AVAILABLE"
        with connect(server, "rest") as client:
            message = client.status()[0].message
        assert message
        # Once it has been mended it is taken up.
        (base_path / "4" / "saved_model.pb").unlink()
        (base_path / "4").rmdir()
        place(version_2, base_path, 4)
        wait_until(lambda: states(server).get(4) == "AVAILABLE")
        assert is_from_2(server)


def test_a_folder_that_vanishes_leaves_what_is_loaded(base_path, version_1):
    place(version_1, base_path, 1)
    with start(model_name="arms", model_base_path=base_path) as server:
        with asking(server):
            base_path.rename(base_path.with_name("away"))
            wait_until(lambda: not base_path.exists())
        assert states(server) == {1: "AVAILABLE"}


def test_a_client_notices_a_version_with_other_tasks(
    base_path, version_1, protocol
):
    place(version_1, base_path, 1)
    with (
        start(model_name="arms", model_base_path=base_path) as server,
        connect(server, protocol) as client,
    ):
        assert {*client.predict(X)} == {"arm_0", "arm_1"}
        x = keras.Input((2,), name="inputs")
        outputs = {t: keras.layers.Dense(1)(x) for t in ("arm_1", "arm_2")}
        keras.Model(x, outputs).export(base_path / ".2", verbose=False)
        (base_path / ".2").rename(base_path / "2")
        wait_until(lambda: states(server).get(1) == "END")
        assert {*client.predict(X)} == {"arm_1", "arm_2"}
        assert {*client.predict(X, tasks=["arm_2"])} == {"arm_2"}


def test_a_single_answer_is_not_taken_for_another(base_path, protocol):
    """By REST it comes without a name."""
    x = keras.Input((2,), name="inputs")
    names = [["arm_0"], ["arm_1"], ["arm_0", "arm_1"]]
    models = [
        keras.Model(x, {t: keras.layers.Dense(1)(x) for t in tasks})
        for tasks in names
    ]
    export.write_servable(models[0], base_path)
    with (
        start(model_name="arms", model_base_path=base_path) as server,
        connect(server, protocol) as client,
    ):
        assert {*client.predict(X)} == {"arm_0"}
        for number in (2, 3):
            model = models[number - 1]
            export.write_servable(model, base_path)
            wait_until(lambda n=number: states(server).get(n - 1) == "END")
            answers = client.predict(X)
            expected = model.predict(np.array(X["inputs"]), verbose=0)
            assert [*answers] == names[number - 1]
            for task, value in expected.items():
                np.testing.assert_allclose(answers[task], value, atol=1e-5)


def test_odd_folders_stop_nothing(base_path, version_1, version_2):
    place(version_1, base_path, 1)
    (base_path / ("9" * 20)).mkdir()
    with start(model_name="arms", model_base_path=base_path) as server:
        assert states(server) == {1: "AVAILABLE"}
        place(version_2, base_path, 2)
        wait_until(lambda: states(server).get(2) == "AVAILABLE")
        broken = base_path / "3"
        broken.mkdir()
        (broken / "link").symlink_to(broken / "nowhere")
        wait_until(lambda: states(server).get(3) == "END")
        assert states(server)[2] == "AVAILABLE"


def test_a_label_s_version_must_stay(base_path, version_1, tmp_path):
    """Two newest versions are kept, whatever labels say."""
    place(version_1, base_path, 1)
    path = tmp_path / "models.config"
    policy = "latest { num_versions: 2 }"
    path.write_text(config_text(base_path, policy, {"stable": 1}))
    with start(
        model_config_file=path,
        allow_version_labels_for_unavailable_models=True,
    ) as server:
        assert answer(server, label="stable").shape == (1, 3)
        for number in (2, 3):
            place(version_1, base_path, number)
        wait_until(lambda: states(server).get(1) == "END")
        with pytest.raises(ServingError, match=r"Specific\(arms, 1\)"):
            answer(server, label="stable")


class TestWarmUp:
    def test_runs_before_a_version_is_available(self, tmp_path, monkeypatch):
        record = warm_up_record("arm_0", np.zeros((2, 2), np.float32))
        Served().write(tmp_path / "arms/1", record)
        asked = []
        predict = _servable.Servable.predict

        def spy(self, signature, inputs, only=()):
            asked.append((signature, inputs["inputs"].shape, [*only]))
            return predict(self, signature, inputs, only)

        monkeypatch.setattr(_servable.Servable, "predict", spy)
        with start(
            model_name="arms", model_base_path=tmp_path / "arms"
        ) as server:
            assert asked == [("arm_0", (2, 2), [])]
            assert states(server) == {1: "AVAILABLE"}

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            (
                warm_up_record("arm_0", np.zeros((2, 9), np.float32)),
                "A warm-up request failed: input 'inputs' must have the shape",
            ),
            (b"", "A warm-up request failed: Record 1 .* is no predict_log"),
        ],
    )
    def test_that_fails_keeps_the_version_away(self, tmp_path, record, message):
        Served().write(tmp_path / "arms/1", record)
        with start(
            model_name="arms", model_base_path=tmp_path / "arms"
        ) as server:
            with connect(server, "grpc") as client:
                (entry,) = client.status()
                assert entry.state == "END"
                assert re.search(message, entry.message)
            with pytest.raises(ServingError, match=r"Latest\(arms\)"):
                answer(server)
