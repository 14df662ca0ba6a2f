import socket

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_selfaux.datasets import RobotArm, RobotArmConfig, load_robot_arm
from keras_selfaux.datasets.robot_arm import _kinematics

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


@pytest.fixture(scope="module")
def builder(data_dir):
    builder = RobotArm(data_dir=data_dir)
    builder.download_and_prepare()
    return builder


def read(builder, split):
    return tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))


def in_radians(info, angles):
    metadata = info.metadata
    return angles * metadata["angles_std"] + metadata["angles_mean"]


class RobotArmBuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TensorFlow Datasets' own checks of a builder."""

    DATASET_CLASS = RobotArm
    BUILDER_CONFIG_NAMES_TO_TEST = ["arms_10"]  # noqa: RUF012
    SPLITS = {  # noqa: RUF012
        "train": 800,
        "validation": 200,
        "test": 10_000,
    }
    # There is nothing to download, but the base class wants a folder.
    EXAMPLE_DIR = str(RobotArm.code_path.parent)
    SKIP_CHECKSUMS = True


# The fixed draws, recomputed with nothing but NumPy in the definition's order.
@pytest.fixture(scope="module")
def expected():
    random = np.random.RandomState(0)
    lengths = random.rand(100, 3)
    angles = np.empty((200_000, 3))
    angles[:, 0] = random.uniform(-np.pi, 0, 200_000)
    angles[:, 1] = random.uniform(-np.pi, 0, 200_000)
    angles[:, 2] = random.uniform(-np.pi / 2, np.pi / 2, 200_000)
    a, b, c = angles.T
    length = lengths[np.arange(200_000) % 100].T
    joints = [a, a + b, a + b + c]
    x = sum(
        link * np.cos(joint) for link, joint in zip(length, joints, strict=True)
    )
    y = sum(
        link * np.sin(joint) for link, joint in zip(length, joints, strict=True)
    )
    return lengths, angles, np.stack([x, y], 1)


def test_agrees_with_the_definition(builder, expected):
    lengths, angles, positions = expected
    metadata = builder.info.metadata
    np.testing.assert_array_equal(metadata["link_lengths"], lengths[:10])
    for name, values in (("angles", angles), ("position", positions)):
        np.testing.assert_allclose(metadata[f"{name}_mean"], values.mean(0))
        np.testing.assert_allclose(metadata[f"{name}_std"], values.std(0))
    places = {
        "train": range(80),
        "validation": range(80, 100),
        "test": range(1_000, 2_000),
    }
    for split, rows in places.items():
        columns = read(builder, split)
        for arm in range(10):
            own = columns["arm"] == arm
            samples = np.array(rows) * 100 + arm
            for name, values in (("angles", angles), ("position", positions)):
                standard = (values - values.mean(0)) / values.std(0)
                np.testing.assert_allclose(
                    columns[name][own], standard[samples], rtol=0, atol=1e-6
                )


def test_golden_numbers(builder):
    np.testing.assert_allclose(
        builder.info.metadata["link_lengths"][0],
        [0.5488135, 0.71518937, 0.60276338],
        rtol=1e-7,
    )
    columns = read(builder, "train")
    np.testing.assert_array_equal(columns["arm"][:12], [*range(10), 0, 1])
    np.testing.assert_allclose(
        columns["position"][:2],
        [[2.5429287, -0.8231746], [-0.1437020, 0.5828875]],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        in_radians(builder.info, columns["angles"][0]),
        [-0.2935646, -0.5287940, 0.3924890],
        rtol=1e-5,
    )


def test_angles_reach_the_position(builder):
    columns = read(builder, "test")
    metadata = builder.info.metadata
    reached = _kinematics.end_points(
        in_radians(builder.info, columns["angles"]),
        np.array(metadata["link_lengths"])[columns["arm"]],
    )
    position = columns["position"] * metadata["position_std"]
    np.testing.assert_allclose(
        reached, position + metadata["position_mean"], atol=2e-6
    )


def test_end_points_in_closed_form():
    angles = np.array([[0.0, 0.0, 0.0], [-np.pi / 2, np.pi / 2, -np.pi / 2]])
    np.testing.assert_allclose(
        _kinematics.end_points(angles, np.array([1.0, 2.0, 4.0])),
        [[7.0, 0.0], [2.0, -5.0]],
        atol=1e-12,
    )


def test_standardised_over_all_arms():
    samples = _kinematics.draw_samples()
    for values in (samples.positions, samples.angles):
        np.testing.assert_allclose(values.mean(0, np.float64), 0.0, atol=1e-6)
        np.testing.assert_allclose(values.std(0, np.float64), 1.0, atol=1e-6)


def test_draws_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="read-only"):
        _kinematics.draw_samples().angles[0] = 0.0


def test_angles_within_their_joints(builder):
    angles = in_radians(builder.info, read(builder, "test")["angles"])
    low, high = angles.min(0), angles.max(0)
    np.testing.assert_allclose(low, [-np.pi, -np.pi, -np.pi / 2], atol=0.01)
    np.testing.assert_allclose(high, [0.0, 0.0, np.pi / 2], atol=0.01)


def test_generation_is_deterministic(builder, tmp_path):
    again = RobotArm(data_dir=tmp_path)
    again.download_and_prepare()
    for split in SPLITS:
        first, second = read(builder, split), read(again, split)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_load_by_name_without_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded, info = tfds.load("robot_arm", data_dir=tmp_path, with_info=True)
    assert {split: len(loaded[split]) for split in SPLITS} == {
        "train": 800,
        "validation": 200,
        "test": 10_000,
    }
    assert info.full_name == "robot_arm/arms_10/1.0.0"
    assert "2410.15875" in info.citation


def test_metadata_survives_on_disk(builder, data_dir):
    read_only = tfds.builder_from_directory(builder.data_dir)
    assert read_only.info.metadata == builder.info.metadata


def test_quiet_without_terminal(tmp_path, capfd):
    load_robot_arm(1, 1, data_dir=tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Generating" not in err


def test_names_of_configurations():
    assert list(RobotArm.builder_configs) == ["arms_10", "arms_100"]
    assert RobotArmConfig().name == "arms_10"
    assert RobotArmConfig(num_tasks=3).name == "arms_3"
    named = RobotArmConfig(num_tasks=3, train_per_task=200)
    assert named.name == "arms_3_train_200"


def test_configuration_equal_to_a_built_in_one(data_dir):
    builder = RobotArm(config=RobotArmConfig(num_tasks=100), data_dir=data_dir)
    assert builder.builder_config is RobotArm.builder_configs["arms_100"]


@pytest.mark.parametrize("num_tasks", [0, 101, 2.0, True, "10"])
def test_bad_num_tasks(num_tasks):
    with pytest.raises(ValueError, match="`num_tasks` must be an integer from"):
        load_robot_arm(num_tasks)


@pytest.mark.parametrize("train_per_task", [0, 981, None])
def test_bad_train_per_task(train_per_task):
    with pytest.raises(ValueError, match=r"`train_per_task` must .* 1 to 980"):
        load_robot_arm(train_per_task=train_per_task)


def test_arrays(data_dir):
    data = load_robot_arm(data_dir=data_dir)
    assert list(data) == list(SPLITS)
    x, y = data["train"]
    assert x.shape == (800, 2)
    assert list(y) == [f"arm_{arm}" for arm in range(10)]
    for arm in range(10):
        labels = y[f"arm_{arm}"]
        assert labels.shape == (800, 3)
        present = np.isfinite(labels).all(axis=1)
        np.testing.assert_array_equal(present, np.arange(800) % 10 == arm)
    assert x.dtype == y["arm_0"].dtype == np.float32


def test_train_per_task(data_dir):
    few = load_robot_arm(2, 3, data_dir)
    many = load_robot_arm(2, 980, data_dir)
    assert [len(few[split][0]) for split in SPLITS] == [6, 40, 2_000]
    assert [len(many[split][0]) for split in SPLITS] == [1_960, 40, 2_000]
    # More samples come behind the first ones; the test split stays.
    np.testing.assert_array_equal(few["train"][0], many["train"][0][:6])
    np.testing.assert_array_equal(few["test"][0], many["test"][0])
    np.testing.assert_array_equal(few["validation"][0], many["train"][0][6:46])
