"""RobotArm as a TensorFlow Dataset. Nothing is downloaded."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_selfaux._checks import error
from keras_selfaux.datasets._builder import LocalBuilder
from keras_selfaux.datasets.robot_arm._kinematics import (
    NUM_ARMS,
    NUM_JOINTS,
    SAMPLES_PER_ARM,
    draw_samples,
)

DEFAULT_TRAIN_PER_TASK = 80
VALIDATION_PER_TASK = 20
TEST_PER_TASK = 1_000
MAX_TRAIN_PER_TASK = SAMPLES_PER_ARM - TEST_PER_TASK - VALIDATION_PER_TASK


def _check_in_range(name: str, value: int, largest: int) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not 1 <= value <= largest:
        raise error(
            f"`{name}` must be an integer from 1 to {largest}.",
            received=f"{name}={value!r}",
            remedy="Pass an integer in this range.",
        )


class RobotArmConfig(tfds.core.BuilderConfig):
    """How many arms, and how many training samples of each.

    Its name holds both, so that no two configurations share a data folder.

    Args:
        num_tasks: The number of arms, 1 to 100. Defaults to 10.
        train_per_task: Training samples per arm, 1 to 980. Defaults to 80.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        *,
        num_tasks: int = 10,
        train_per_task: int = DEFAULT_TRAIN_PER_TASK,
    ) -> None:
        _check_in_range("num_tasks", num_tasks, NUM_ARMS)
        _check_in_range("train_per_task", train_per_task, MAX_TRAIN_PER_TASK)
        name = f"arms_{num_tasks}"
        if train_per_task != DEFAULT_TRAIN_PER_TASK:
            name += f"_train_{train_per_task}"
        super().__init__(
            name=name,
            description=f"The first {num_tasks} arms, with {train_per_task} "
            f"training samples each.",
        )
        self.num_tasks = num_tasks
        self.train_per_task = train_per_task


class RobotArm(LocalBuilder):
    """Inverse kinematics of planar three-joint arms, one task per arm.

    Examples hold the standardised end point (`position`), the standardised
    joint angles that reach it (`angles`) and the index of the arm (`arm`).
    They come in a fixed order in which the arms alternate. `info.metadata` has
    what turns them back:

    - `link_lengths`: one list of three lengths per arm;
    - `position_mean`, `position_std`: of x and y, in the lengths' unit;
    - `angles_mean`, `angles_std`: of the three angles, radians.

    `angles * angles_std + angles_mean` is in radians.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        RobotArmConfig(num_tasks=10),
        RobotArmConfig(num_tasks=100),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        samples = draw_samples()
        config = self.builder_config
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "position": tfds.features.Tensor(
                        shape=(2,), dtype=np.float32
                    ),
                    "angles": tfds.features.Tensor(
                        shape=(NUM_JOINTS,), dtype=np.float32
                    ),
                    "arm": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            supervised_keys=("position", "angles"),
            homepage="https://arxiv.org/abs/2410.15875",
            # Sorting by hashed key takes longer than all else, and would hide
            # the order that the definition of the data fixes.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(
                link_lengths=samples.link_lengths[: config.num_tasks].tolist(),
                position_mean=samples.position_mean.tolist(),
                position_std=samples.position_std.tolist(),
                angles_mean=samples.angles_mean.tolist(),
                angles_std=samples.angles_std.tolist(),
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        num_train = self.builder_config.train_per_task
        rows = {
            "train": range(num_train),
            "validation": range(num_train, num_train + VALIDATION_PER_TASK),
            "test": range(SAMPLES_PER_ARM - TEST_PER_TASK, SAMPLES_PER_ARM),
        }
        return {
            split: self._generate_examples(of_arm)
            for split, of_arm in rows.items()
        }

    def _generate_examples(
        self, rows: range
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields every arm's samples of these places in its own order."""
        samples = draw_samples()
        for row in rows:
            for arm in range(self.builder_config.num_tasks):
                sample = row * NUM_ARMS + arm
                yield (
                    sample,
                    {
                        "position": samples.positions[sample],
                        "angles": samples.angles[sample],
                        "arm": arm,
                    },
                )
