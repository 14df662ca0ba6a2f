import json

import numpy as np
import pytest

from keras_selfaux import TransferGraph
from keras_selfaux.discovery import Run, TransferGains

TASKS = ["a", "b", "c"]
BY_SEED = [
    [[9.0, 1.0, -2.0], [3.0, 9.0, 0.0], [4.0, np.nan, 9.0]],
    [[9.0, 3.0, -4.0], [3.0, 9.0, 2.0], [0.0, 1.0, 9.0]],
]


def test_mean_and_standard_deviation_over_seeds():
    gains = TransferGains(TASKS, BY_SEED)
    np.testing.assert_array_equal(
        gains.mean, [[0, 2, -3], [3, 0, 1], [2, np.nan, 0]]
    )
    half = np.sqrt(2.0)
    np.testing.assert_allclose(
        gains.std, [[0, half, half], [0, 0, half], [2 * half, np.nan, 0]]
    )


def test_one_seed_has_no_deviation():
    gains = TransferGains(TASKS, BY_SEED[1])
    assert gains.by_seed.shape == (1, 3, 3)
    assert np.isnan(gains.std[0, 1])
    assert gains.std[0, 0] == 0


def test_graph_has_what_helps():
    gains = TransferGains(TASKS, BY_SEED)
    helps = [("b", "a"), ("a", "b"), ("c", "b"), ("a", "c")]  # (source, target)
    assert gains.graph() == TransferGraph(TASKS, helps)
    assert gains.graph(threshold=1.5).edges == tuple(
        edge for edge in helps if edge != ("c", "b")
    )
    # The standard errors of the means 2, 3, 1 and 2 are 1, 0, 1 and 2.
    assert gains.graph(standard_errors=1.0).edges == (("b", "a"), ("a", "b"))
    assert gains.graph(standard_errors=3.0).edges == (("a", "b"),)


def test_standard_errors_need_seeds():
    gains = TransferGains(TASKS, BY_SEED[1])
    with pytest.raises(ValueError, match=r"One seed has no standard error"):
        gains.graph(standard_errors=1.0)


def test_numbers_cannot_be_changed():
    gains = TransferGains(TASKS, BY_SEED)
    with pytest.raises(ValueError, match="read-only"):
        gains.by_seed[0, 0, 1] = 1.0


def test_file_and_back(tmp_path):
    run = Run("a/b/seed_0", ("a", "b"), 0, 7, {"a": {"loss": 1.5}, "b": {}})
    gains = TransferGains(TASKS, BY_SEED, "accuracy", [run])
    path = tmp_path / "new folder/gains.json"
    gains.to_json(path)
    back = TransferGains.from_json(path)
    np.testing.assert_array_equal(back.by_seed, gains.by_seed)
    assert (back.tasks, back.measure) == (("a", "b", "c"), "accuracy")
    assert back.runs == (run,)
    text = path.read_text()
    assert "NaN" not in text  # which is no JSON
    assert json.loads(text)["mean"][2][1] is None
    assert [p.name for p in path.parent.iterdir()] == ["gains.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"tasks": ["a"]}', '{"runs": [1], "tasks": []}']
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "gains.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="does not hold transfer gains"):
        TransferGains.from_json(path)


@pytest.mark.parametrize(
    "by_seed", [np.zeros((2, 2)), np.zeros((0, 3, 3)), 1.0, np.zeros((3, 3, 2))]
)
def test_shapes_must_fit(by_seed):
    with pytest.raises(ValueError, match=r"must have the shape \(seeds, tasks"):
        TransferGains(TASKS, by_seed)


def test_tasks_must_be_names():
    with pytest.raises(ValueError, match="`tasks` must hold at least one name"):
        TransferGains(["a", "a"], np.zeros((2, 2)))
