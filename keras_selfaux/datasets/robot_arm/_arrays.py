"""RobotArm as NumPy arrays, in the form that `fit` takes."""

import os

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from keras_selfaux._types import Task
from keras_selfaux.datasets._labels import labels_per_task
from keras_selfaux.datasets.robot_arm.robot_arm_dataset_builder import (
    RobotArm,
    RobotArmConfig,
)

Arrays = tuple[NDArray[np.float32], dict[Task, NDArray[np.float32]]]


def load_robot_arm(
    num_tasks: int = 10,
    train_per_task: int = 80,
    data_dir: str | os.PathLike[str] | None = None,
) -> dict[str, Arrays]:
    """Returns the RobotArm data as arrays, with labels per task.

    Every arm is a task: to find the joint angles that bring the end of that arm
    to a point. The data is generated and written on the first call, and read
    from then on.

    Args:
        num_tasks: The number of arms, 1 to 100. Defaults to 10.
        train_per_task: Training samples per arm, 1 to 980. Defaults to 80.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `None`:
            its own default, `~/tensorflow_datasets`.

    Returns:
        `{"train": (x, y), "validation": (x, y), "test": (x, y)}`, where `x` is
        a float32 array `[N, 2]` of standardised end points and `y` has for
        every task `"arm_0"`, `"arm_1"`, ... a float32 array `[N, 3]` of
        standardised joint angles, NaN (missing) in the rows of other arms.
        N is the number of samples of all arms together: per arm
        `train_per_task`, 20 and 1,000. The arms alternate. See `RobotArm` for
        the way back to radians.

    Raises:
        ValueError: If `num_tasks` or `train_per_task` is out of its range.
    """
    config = RobotArmConfig(num_tasks=num_tasks, train_per_task=train_per_task)
    builder = RobotArm(config=config, data_dir=data_dir)
    builder.download_and_prepare()
    tasks = [f"arm_{index}" for index in range(num_tasks)]
    arrays = {}
    for split in ("train", "validation", "test"):
        columns = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        labels = labels_per_task(columns["angles"], columns["arm"], tasks)
        arrays[split] = (columns["position"], labels)
    return arrays
