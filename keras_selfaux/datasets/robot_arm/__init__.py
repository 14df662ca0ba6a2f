"""Inverse kinematics of planar robot arms: one task per arm."""

from keras_selfaux.datasets.robot_arm._arrays import load_robot_arm
from keras_selfaux.datasets.robot_arm.robot_arm_dataset_builder import (
    RobotArm,
    RobotArmConfig,
)

__all__ = ["RobotArm", "RobotArmConfig", "load_robot_arm"]
