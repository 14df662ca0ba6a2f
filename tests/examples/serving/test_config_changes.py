"""Policies and labels, and a configuration that changes while requests run."""

import pytest

from examples.serving._clients._serving_error import ServingError
from tests.examples.serving.running import (
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


@pytest.fixture
def config_file(tmp_path):
    return tmp_path / "models.config"


@pytest.mark.parametrize(
    ("policy", "loaded"),
    [
        ("", [3]),
        ("latest { num_versions: 2 }", [3, 2]),
        ("all {}", [3, 2, 1]),
        ("specific { versions: 1 versions: 3 versions: 9 }", [3, 1]),
    ],
)
def test_policies(base_path, config_file, version_1, policy, loaded):
    for number in (1, 2, 3):
        place(version_1, base_path, number)
    config_file.write_text(config_text(base_path, policy))
    with start(model_config_file=config_file) as server:
        assert [*states(server)] == loaded
        for version in loaded:
            assert answer(server, version=version).shape == (1, 3)


def test_canary_and_roll_back(base_path, config_file, version_1, version_2):
    place(version_1, base_path, 1)
    place(version_2, base_path, 2)
    only_1 = "specific { versions: 1 }"
    both = "specific { versions: 1 versions: 2 }"
    config_file.write_text(config_text(base_path, only_1, {"stable": 1}))
    with start(
        model_config_file=config_file,
        allow_version_labels_for_unavailable_models=True,
    ) as server:
        assert not is_from_2(server, label="stable")
        with asking(server):
            config_file.write_text(config_text(base_path, both, {"stable": 1}))
            wait_until(lambda: states(server).get(2) == "AVAILABLE")
            config_file.write_text(
                config_text(base_path, both, {"stable": 1, "canary": 2})
            )
            wait_until(lambda: "canary" in server.manager._labels["arms"])
            assert is_from_2(server, label="canary")
            assert not is_from_2(server, label="stable")
            config_file.write_text(config_text(base_path, both, {"stable": 2}))
            wait_until(lambda: is_from_2(server, label="stable"))
            assert is_from_2(server)
            config_file.write_text(
                config_text(base_path, only_1, {"stable": 1})
            )
            wait_until(lambda: states(server)[2] == "END")
        assert not is_from_2(server)
        assert not is_from_2(server, label="stable")
        with connect(server, "rest", label="stable") as client:
            assert client.metadata().version == 1
            assert [entry.version for entry in client.status()] == [1]


def test_a_label_in_use_keeps_its_version_until_the_next_is_there(
    base_path, config_file, version_1
):
    place(version_1, base_path, 1)
    config_file.write_text(config_text(base_path, "all {}", {"stable": 1}))
    with start(
        model_config_file=config_file,
        allow_version_labels_for_unavailable_models=True,
    ) as server:
        config_file.write_text(config_text(base_path, "all {}", {"stable": 2}))
        with pytest.raises(
            ValueError,
            match="label 'stable' for version 2 of model arms, which is not",
        ):
            server.manager.load_config()
        assert answer(server, label="stable").shape == (1, 3)


def test_labels_at_the_start_need_permission(base_path, config_file, version_1):
    place(version_1, base_path, 1)
    config_file.write_text(config_text(base_path, "all {}", {"stable": 1}))
    with pytest.raises(
        ValueError, match="--allow_version_labels_for_unavailable_models"
    ):
        start(model_config_file=config_file)


def test_a_config_that_cannot_be_read_changes_nothing(
    base_path, config_file, version_1
):
    place(version_1, base_path, 1)
    config_file.write_text(config_text(base_path, "all {}"))
    with start(model_config_file=config_file) as server:
        config_file.write_text("model_config_list { nonsense }")
        with pytest.raises(ValueError, match="must be a ModelServerConfig"):
            server.manager.load_config()
        config_file.unlink()
        with pytest.raises(ValueError, match="`model_config_file` cannot be"):
            server.manager.load_config()
        assert answer(server).shape == (1, 3)


def test_a_model_that_is_taken_out_is_unloaded(
    base_path, config_file, version_1
):
    place(version_1, base_path, 1)
    text = config_text(base_path, "all {}")
    config_file.write_text(text)
    with start(model_config_file=config_file) as server:
        config_file.write_text(text.replace('name: "arms"', 'name: "legs"'))
        wait_until(lambda: states(server).get(1) == "END")
        with pytest.raises(ServingError, match=r"Latest\(arms\)"):
            answer(server)
        assert answer(server, model="legs").shape == (1, 3)
