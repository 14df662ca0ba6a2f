import json

import pytest

from examples import _training, sharing_sweep
from tests.examples.settings import tiny_settings


def tiny(folder, data_dir, **changes):
    settings = {"seeds": (0, 1), **changes}
    return sharing_sweep.Config(**tiny_settings(folder, data_dir, **settings))


def fake_train(config, method, name, seed, data, callbacks):
    """Errors that are known: less by 10 % for each shared layer."""
    fake_train.calls.append((name, seed))
    error = 2.0 - 0.2 * method.paths
    if method.auxiliaries == "all":
        assert method.weighting == "auto_lambda"
        error -= 0.5
    scores = {task: {"rmse": error} for task in ("arm_0", "arm_1")}
    return None, {
        "method": name,
        "seed": seed,
        "scores": scores,
        "seconds": 1.0,
        "parameters": 10,
    }


@pytest.fixture
def trained(monkeypatch):
    fake_train.calls = []
    monkeypatch.setattr(_training, "train", fake_train)
    return fake_train.calls


def test_every_depth_in_both_settings(tmp_path, data_dir, trained, capsys):
    results = sharing_sweep.run(tiny(tmp_path, data_dir))
    assert len(trained) == 2 * 2 * 4
    changes = results["delta_m"]
    assert changes["usual"][0] == [0.0, 0.0]  # the baseline itself
    assert changes["usual"][2] == pytest.approx([20.0, 20.0])
    assert changes["asymmetric"][3] == pytest.approx([55.0, 55.0])
    written = json.loads((tmp_path / "results.json").read_text())
    assert written == json.loads(json.dumps(results))
    assert (tmp_path / "sharing_sweep.png").exists()
    printed = capsys.readouterr().out
    assert "2 +20.00 ± 0.00 +45.00 ± 0.00" in " ".join(printed.split())


def test_goes_on_where_it_was(tmp_path, data_dir, trained, monkeypatch):
    def interrupted(*arguments):
        if len(trained) == 5:
            raise KeyboardInterrupt
        return fake_train(*arguments)

    monkeypatch.setattr(_training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sharing_sweep.run(tiny(tmp_path, data_dir))
    monkeypatch.setattr(_training, "train", fake_train)
    results = sharing_sweep.run(tiny(tmp_path, data_dir, plots=False))
    assert len(trained) == len(set(trained)) == 16
    assert len(results["runs"]) == 16
    with pytest.raises(FileExistsError, match=r"a run with another epochs"):
        sharing_sweep.run(tiny(tmp_path, data_dir, epochs=3))
    sharing_sweep.run(tiny(tmp_path, data_dir, epochs=3, overwrite=True))
    assert len(trained) == 32


@pytest.mark.slow
def test_a_real_sweep(tmp_path, data_dir):
    results = sharing_sweep.run(tiny(tmp_path, data_dir, seeds=(0,)))
    assert results["delta_m"]["usual"][0] == [0.0]
    for of_setting in results["delta_m"].values():
        assert sorted(of_setting) == [0, 1, 2, 3]
