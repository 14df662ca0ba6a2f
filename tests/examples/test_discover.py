import json

import numpy as np
import pytest

import keras_selfaux
from examples import discover, robot_arm
from keras_selfaux.discovery import TransferGains
from tests.examples.settings import tiny_settings


def tiny(folder, data_dir, **changes):
    settings = {"seeds": (0, 1), **changes}
    return discover.Config(**tiny_settings(folder, data_dir, **settings))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("discover")
    return folder, discover.run(tiny(folder, data_dir))


class TestForest:
    def test_writes_gains_graph_and_pictures(self, finished):
        folder, gains = finished
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "config.json",
            "enumeration",
            "gains.json",
            "gains.png",
            "graph.json",
            "graph.png",
        }
        assert gains.by_seed.shape == (2, 2, 2)
        written = TransferGains.from_json(folder / "gains.json")
        np.testing.assert_array_equal(written.by_seed, gains.by_seed)
        graph = keras_selfaux.TransferGraph.from_json(folder / "graph.json")
        assert graph == gains.graph()

    def test_a_second_start_only_reads(self, finished, data_dir, capsys):
        folder, gains = finished
        before = (
            (folder / "enumeration/enumeration_forest/state.json")
            .stat()
            .st_mtime_ns
        )
        again = discover.run(tiny(folder, data_dir, threshold=1e9, plots=False))
        np.testing.assert_array_equal(again.by_seed, gains.by_seed)
        after = (
            (folder / "enumeration/enumeration_forest/state.json")
            .stat()
            .st_mtime_ns
        )
        assert after == before
        assert "arm_0    nobody" in capsys.readouterr().out
        graph = json.loads((folder / "graph.json").read_text())
        assert graph["edges"] == []
        discover.run(tiny(folder, data_dir, plots=False))  # as it was

    def test_other_settings_are_refused(self, finished, data_dir):
        folder, _ = finished
        with pytest.raises(FileExistsError, match="another epochs, search"):
            discover.run(tiny(folder, data_dir, epochs=1, search="affinity"))

    def test_the_graph_can_be_trained_with(self, finished, data_dir):
        folder, gains = finished
        config = robot_arm.Config(
            num_tasks=2, auxiliaries=str(folder / "graph.json")
        )
        assert config.resolve("saal_w").auxiliaries == gains.graph()


@pytest.mark.slow
def test_affinity(tmp_path, data_dir):
    config = tiny(
        tmp_path, data_dir, search="affinity", every_n_steps=1, plots=False
    )
    gains = discover.run(config)
    assert gains.measure == "look-ahead affinity"
    assert gains.by_seed.shape == (2, 2, 2)
    assert np.all(np.isfinite(gains.by_seed))
    assert np.all(gains.by_seed[:, 0, 1] != 0)
    assert not gains.runs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": "guess"}, "`search` must be one of"),
        ({"num_tasks": 1}, "`num_tasks` must be at least 2"),
        ({"standard_errors": -1.0}, "`standard_errors` must be 0, or pos"),
        (
            {"standard_errors": 1.0, "seeds": (0,)},
            "positive with several seeds",
        ),
    ],
)
def test_refuses(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path, None, **changes)
