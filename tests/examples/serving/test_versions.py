"""Versions that come and go while requests run."""

import re

import keras
import numpy as np
import pytest

from examples.serving._clients._serving_error import ServingError
from examples.serving._server import _servable
from tests.examples.serving.models import Served, warm_up_record
from tests.examples.serving.running import (
    X,
    answer,
    asking,
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
        if protocol == "rest":
            with pytest.raises(ServingError, match="is there a new version"):
                client.predict(X)
        assert {*client.predict(X)} == {"arm_1", "arm_2"}
        assert {*client.predict(X, tasks=["arm_2"])} == {"arm_2"}


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
