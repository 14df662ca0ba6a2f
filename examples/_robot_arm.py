"""Ten robot arms, one task each: what the runners on RobotArm share."""

import dataclasses
import math
from typing import ClassVar

import keras

from keras_selfaux.architectures import mlp_stages
from keras_selfaux.datasets import RobotArmConfig, load_robot_arm

if __package__:
    from examples import _runner
    from examples._array_data import ArrayData
    from examples._problem import Problem, TaskSpec
else:
    import _runner
    from _array_data import ArrayData
    from _problem import Problem, TaskSpec

NUM_ANGLES = 3
NUM_INPUTS = 2
NUM_STAGES = 3
UNITS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobotArm(Problem):
    """The settings that all runners on RobotArm have.

    Raises:
        ValueError: If a value is out of its range.
    """

    TITLE: ClassVar[str] = "Test RMSE (standardised angles)"

    num_tasks: int = _runner.setting(10, "Number of arms, 1 to 100.")
    train_per_task: int = _runner.setting(
        80, "Training samples of each arm, 1 to 980."
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        super().__post_init__()
        # Raises if a number is out of its range.
        RobotArmConfig(
            num_tasks=self.num_tasks, train_per_task=self.train_per_task
        )

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The arms."""
        spec = TaskSpec(head, "mse", {"rmse": False})
        return {f"arm_{index}": spec for index in range(self.num_tasks)}

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """A batch of end points."""
        return (None, NUM_INPUTS)

    @property
    def steps_per_execution(self) -> int:
        """All steps of an epoch, of which there are few."""
        return math.ceil(self.num_tasks * self.train_per_task / self.batch_size)

    def load_data(self) -> ArrayData:
        """Returns the data of all arms, which are generated on first use."""
        splits = load_robot_arm(
            self.num_tasks, self.train_per_task, data_dir=self.data_dir
        )
        return ArrayData(splits, self.batch_size)

    def stages(self) -> list[keras.layers.Layer]:
        """Returns three dense layers."""
        return mlp_stages((UNITS,) * NUM_STAGES)

    scores = Problem.rmse


def head() -> keras.layers.Layer:
    """Returns what maps an arm's features to its joint angles."""
    return keras.layers.Dense(NUM_ANGLES)
